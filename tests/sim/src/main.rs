//! `sim --seeds N [--from S] [--show]`: checks N seeds, and prints the history of the first one that breaks a promise.

use sim::checkers;
use sim::world::history;
use std::process::ExitCode;

const USAGE: &str = "usage: sim [--seeds N] [--from S] [--show]
  --seeds N  check N seeds (default 1000)
  --from S   begin with seed S (default 0)
  --show     print what happened, whether or not a promise is broken";

struct Options {
    seeds: u64,
    from: u64,
    show: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options { seeds: 1000, from: 0, show: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let text = arguments.next().ok_or_else(|| format!("{argument}: expected a number behind it"))?;
            text.parse().map_err(|_| format!("{argument} {text}: expected a number from 0 on"))
        };
        match argument.as_str() {
            "--seeds" => options.seeds = number()?,
            "--from" => options.from = number()?,
            "--show" => options.show = true,
            _ => return Err(format!("{argument:?} is not known\n{USAGE}")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let mut faults = 0;
    for seed in options.from..options.from.saturating_add(options.seeds) {
        let history = history(seed, None);
        faults += history.faults.values().sum::<usize>();
        let broken = checkers::broken(&history);
        if options.show || !broken.is_empty() {
            history.log.iter().for_each(|line| println!("{line}"));
        }
        if !broken.is_empty() {
            for (checker, what) in broken {
                eprintln!("seed {seed}: {checker}: {what}");
            }
            eprintln!("again: cargo xtask sim --from {seed} --seeds 1");
            return ExitCode::FAILURE;
        }
    }
    println!("{} seeds, {faults} faults, no promise broken", options.seeds);
    ExitCode::SUCCESS
}
