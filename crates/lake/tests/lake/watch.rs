//! Watching: what arrives is taken in, whether the system says so or not, and not before it is whole.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use keytrail_lake::{IngestOptions, Notice, Source, WatchOptions};

use crate::support::{Scene, gzip, log, record};

/// A minute: whatever happens sooner was not waited for.
const NEVER: Duration = Duration::from_mins(1);

/// Files that arrive one after the other, each after the one before was taken in.
fn check(options: &WatchOptions) {
    let scene = Scene::new();
    scene.file("old.json", log(&[record(0)]));
    let stop = AtomicBool::new(false);
    let (rounds, round) = channel();
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut lake = scene.open();
            let mut on_round = |report: &keytrail_lake::IngestReport| {
                rounds.send((report.files_new, report.rows)).unwrap();
            };
            let sources = [Source::Path(scene.sources())];
            lake.watch(&sources, &IngestOptions::default(), options, &(), &stop, &mut on_round)
                .unwrap();
            lake.close().unwrap();
        });
        assert_eq!(round.recv_timeout(NEVER).unwrap(), (1, 1));
        scene.file("AWSLogs/new/one.json.gz", gzip(log(&[record(1), record(2)])));
        assert_eq!(round.recv_timeout(NEVER).unwrap(), (1, 2));
        // A content that is known under another name is no news; what comes after it is.
        scene.file("AWSLogs/new/same.json.gz", gzip(log(&[record(1), record(2)])));
        scene.file("AWSLogs/new/two.json.gz", gzip(log(&[record(3)])));
        let mut rows = 0;
        while rows == 0 {
            rows = round.recv_timeout(NEVER).unwrap().1;
        }
        assert_eq!(rows, 1);
        // A file that was rewritten is another content.
        scene.file("old.json", log(&[record(0), record(9)]));
        assert_eq!(round.recv_timeout(NEVER).unwrap(), (1, 2));
        stop.store(true, Ordering::Relaxed);
        watching.join().unwrap();
    });
    assert_eq!(scene.rows().len(), 6);
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn files_that_the_system_reports_are_taken_in_without_a_rescan() {
    check(&WatchOptions { rescan: NEVER * 10, settle: millis(20), notice: Notice::FileSystem });
}

#[test]
fn files_that_nobody_reports_are_found_by_the_rescan() {
    check(&WatchOptions { rescan: millis(30), settle: millis(10), notice: Notice::RescanOnly });
}

#[test]
fn a_file_that_is_being_written_is_left_until_it_rests() {
    let scene = Scene::new();
    let whole = gzip(log(&(0..50).map(record).collect::<Vec<_>>()));
    let (path, stop) = (scene.sources().join("a.json.gz"), AtomicBool::new(false));
    let (rounds, round) = channel();
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut lake = scene.open();
            let options =
                WatchOptions { rescan: millis(5), settle: millis(300), notice: Notice::RescanOnly };
            let mut on_round = |report: &keytrail_lake::IngestReport| {
                rounds.send((report.rows, report.quarantined.len())).unwrap();
            };
            let sources = [Source::Path(scene.sources())];
            lake.watch(&sources, &IngestOptions::default(), &options, &(), &stop, &mut on_round)
                .unwrap();
        });
        for len in (0..whole.len()).step_by(whole.len() / 10) {
            fs::write(&path, &whole[..len]).unwrap();
            std::thread::sleep(millis(10));
        }
        fs::write(&path, &whole).unwrap();
        assert_eq!(round.recv_timeout(NEVER).unwrap(), (50, 0));
        stop.store(true, Ordering::Relaxed);
        watching.join().unwrap();
    });
}
