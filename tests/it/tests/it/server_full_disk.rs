//! A server whose disk is full: uploads say so, a pipeline keeps its promise, and all goes on when there is room.

use crate::harness::counting::{counting, is, is_exact, works};
use crate::harness::guests::guest;
use crate::harness::server::Server;
use crate::harness::small_disk::{self, fill_but, inside};
use crate::harness::waiting::until;
use serde_json::json;
use std::fs;

#[test]
fn an_upload_to_a_full_disk_says_so_leaves_nothing_and_works_when_there_is_room() {
    let job = counting("served-full");
    let weir = small_disk::start(&job, "size=96m", &["serve", "--listen", "127.0.0.1:0"]);
    let data_dir = inside(&job, &weir);
    let server = Server::of(weir, &data_dir);
    server.deploy(&job);
    works(&server, &job.name);
    let bytes = fs::read(guest("swap_good")).unwrap();
    let filler = data_dir.join("filler");
    let mut refusals = 0;
    // The more is free, the later it fails: the bytes, what is compiled of them, the row of the version.
    for free in [0, bytes.len() as u64 / 2, bytes.len() as u64 + (4 << 10), bytes.len() as u64 + (64 << 10)] {
        fs::create_dir(&filler).unwrap();
        fill_but(&filler, free);
        let answer = server.upload_bytes("full", &bytes);
        // What the pipeline frees or takes meanwhile may decide: one that fails for want of room clears its directory.
        let refused = (answer.status, &answer.body["code"]) == (507, &json!("disk_full"));
        assert!(refused || [200, 201].contains(&answer.status), "{free} free: {answer:?}");
        refusals += u32::from(refused);
        server.get("/readyz").expect(200);
        let actual = server.status(&job.name)["actual"].clone();
        assert!(["running", "restarting", "starting"].iter().any(|state| actual == *state), "{actual}");
        fs::remove_dir_all(&filler).unwrap();
        assert_eq!(fs::read_dir(data_dir.join("incoming")).unwrap().count(), 0, "{free} free");
        let answer = server.upload_bytes("full", &bytes);
        assert!([200, 201].contains(&answer.status), "{free} free, and then room: {answer:?}");
        assert_eq!(answer.body["version"], 1, "a number is given to what is there");
        is(&server, &job.name, "running");
        let decided = || server.status(&job.name)["running"]["last_checkpoint_epoch"].as_u64();
        let before = decided();
        until("another checkpoint", || (decided() > before).then_some(()));
    }
    assert!(refusals > 0, "no upload has met the full disk");
    server.post(&format!("/v1/pipelines/{}/stop", job.name), &json!({})).expect(202);
    is(&server, &job.name, "stopped");
    assert!(is_exact(&data_dir.join("files").join(&job.name)) > 0);
}
