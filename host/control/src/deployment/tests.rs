//! One row per rule, and the invariants over all histories of a small depth.

use super::*;

fn state(desired_running: bool, actual: Actual) -> Deployment {
    Deployment { desired_running, actual, closing: false }
}

fn failed() -> Actual {
    Actual::Failed("disk".to_owned())
}

#[test]
fn each_event_leads_from_one_state_to_the_next() {
    use Action::{Launch, Release, Stop};
    use Actual::{
        Finished, Replaying, Restarting, Running, Starting, Stopped, Stopping, Superseded, Swapping,
    };
    let cause = || "kafka".to_owned();
    let failing = || Event::Ended(Ending::Failed("disk".to_owned()));
    #[rustfmt::skip]
    let table: Vec<(Deployment, Event, Deployment, Vec<Action>)> = vec![
        (state(false, Stopped), Event::StartAsked, state(true, Starting), vec![Launch]),
        (state(true, failed()), Event::StartAsked, state(true, Starting), vec![Launch]),
        (state(true, Finished), Event::StartAsked, state(true, Starting), vec![Launch]),
        (state(true, Superseded(cause())), Event::StartAsked, state(true, Starting), vec![Launch]),
        (state(true, Running), Event::StartAsked, state(true, Running), vec![]),
        (state(false, Stopping), Event::StartAsked, state(true, Stopping), vec![]),
        (state(true, Running), Event::StopAsked, state(false, Stopping), vec![Stop]),
        (state(true, Starting), Event::StopAsked, state(false, Stopping), vec![Stop]),
        (state(true, Swapping), Event::StopAsked, state(false, Stopping), vec![Stop]),
        (state(true, Restarting(cause())), Event::StopAsked, state(false, Stopping), vec![Stop]),
        (state(false, Stopping), Event::StopAsked, state(false, Stopping), vec![]),
        (state(true, failed()), Event::StopAsked, state(false, Stopped), vec![]),
        (state(true, Finished), Event::StopAsked, state(false, Stopped), vec![]),
        (state(true, Running), Event::RestartAsked, state(true, Stopping), vec![Stop]),
        (state(true, failed()), Event::RestartAsked, state(true, Starting), vec![Launch]),
        (state(false, Stopped), Event::RestartAsked, state(true, Starting), vec![Launch]),
        (state(true, Stopping), Event::Ended(Ending::Stopped), state(true, Starting), vec![Release, Launch]),
        (state(true, Stopping), failing(), state(true, Starting), vec![Release, Launch]),
        (state(true, Stopping), Event::Ended(Ending::Finished), state(true, Finished), vec![Release]),
        (state(false, Stopping), Event::Ended(Ending::Stopped), state(false, Stopped), vec![Release]),
        (state(false, Stopping), failing(), state(false, Stopped), vec![Release]),
        (state(true, Running), failing(), state(true, failed()), vec![Release]),
        (state(true, Starting), failing(), state(true, failed()), vec![Release]),
        (state(true, Running), Event::Ended(Ending::Finished), state(true, Finished), vec![Release]),
        (state(true, Running), Event::Ended(Ending::Superseded(cause())), state(true, Superseded(cause())), vec![Release]),
        (state(true, Starting), Event::LaunchRefused("disk".to_owned()), state(true, failed()), vec![]),
        (state(false, Stopping), Event::LaunchRefused(cause()), state(false, Stopped), vec![]),
        (state(true, Stopping), Event::LaunchRefused(cause()), state(true, Starting), vec![Launch]),
        (state(true, Starting), Event::Begun, state(true, Running), vec![]),
        (state(true, Restarting(cause())), Event::Begun, state(true, Running), vec![]),
        (state(true, Swapping), Event::Begun, state(true, Running), vec![]),
        (state(false, Stopping), Event::Begun, state(false, Stopping), vec![]),
        (state(true, Running), Event::Restarting(cause()), state(true, Restarting(cause())), vec![]),
        (state(true, Swapping), Event::Restarting(cause()), state(true, Restarting(cause())), vec![]),
        (state(false, Stopping), Event::Restarting(cause()), state(false, Stopping), vec![]),
        (state(true, Starting), Event::ReplayBegun, state(true, Replaying), vec![]),
        (state(true, Restarting(cause())), Event::ReplayBegun, state(true, Replaying), vec![]),
        (state(false, Stopping), Event::ReplayBegun, state(false, Stopping), vec![]),
        (state(true, Replaying), Event::Begun, state(true, Running), vec![]),
        (state(true, Replaying), Event::SwapBegun, state(true, Replaying), vec![]),
        (state(true, Running), Event::SwapBegun, state(true, Swapping), vec![]),
        (state(true, Swapping), Event::SwapEnded, state(true, Running), vec![]),
        (state(true, Restarting(cause())), Event::SwapEnded, state(true, Restarting(cause())), vec![]),
    ];
    for (before, event, after, actions) in table {
        assert_eq!(next(&before, &event), (after, actions), "{before:?} and {event:?}");
    }
}

#[test]
fn a_service_that_closes_stops_everything_and_launches_nothing() {
    let (closing, actions) = next(&state(true, Actual::Running), &Event::CloseAsked);
    assert_eq!(actions, [Action::Stop]);
    let (closed, actions) = next(&closing, &Event::Ended(Ending::Stopped));
    assert_eq!(actions, [Action::Release]);
    assert_eq!((closed.actual.clone(), closed.desired_running), (Actual::Stopped, true));
    assert_eq!(next(&closed, &Event::StartAsked).1, []);
    assert_eq!(next(&closed, &Event::RestartAsked).1, []);
}

#[test]
fn at_most_one_life_and_none_that_is_not_desired_over_all_short_histories() {
    let events = [
        Event::StartAsked,
        Event::StopAsked,
        Event::RestartAsked,
        Event::CloseAsked,
        Event::LaunchRefused(String::new()),
        Event::ReplayBegun,
        Event::Begun,
        Event::Restarting(String::new()),
        Event::Ended(Ending::Stopped),
        Event::Ended(Ending::Failed(String::new())),
        Event::Ended(Ending::Finished),
        Event::SwapBegun,
        Event::SwapEnded,
    ];
    /// Lives that were launched and have not ended.
    fn walk(state: &Deployment, alive: bool, events: &[Event], depth: usize) {
        if depth == 0 {
            return;
        }
        for event in events {
            let of_a_life = matches!(
                event,
                Event::LaunchRefused(_) | Event::Begun | Event::Restarting(_) | Event::Ended(_)
            );
            if of_a_life && !alive {
                continue;
            }
            let ends = matches!(event, Event::LaunchRefused(_) | Event::Ended(_));
            let (after, actions) = next(state, event);
            let mut alive = alive && !ends;
            if actions.contains(&Action::Launch) {
                assert!(!alive, "D2: {state:?} and {event:?}");
                assert!(after.desired_running && !after.closing, "D1, D4: {state:?} and {event:?}");
                alive = true;
            }
            assert_eq!(after.actual.is_alive(), alive, "{state:?} and {event:?}");
            walk(&after, alive, events, depth - 1);
        }
    }
    walk(&Deployment::stopped(), false, &events, 5);
}
