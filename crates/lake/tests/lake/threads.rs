//! The rows of a lake do not depend on how the work was divided.

use std::num::NonZeroUsize;

use keytrail_lake::IngestOptions;
use keytrail_trail::corpus::{CorpusOptions, Mix, generate};

use crate::support::{Read, Scene, gzip, log, record};

fn rows(scene: &Scene, options: &IngestOptions) -> Vec<Read> {
    let root = scene.root();
    if root.exists() {
        std::fs::remove_dir_all(root).unwrap();
    }
    scene.ingest_with(options);
    scene.rows()
}

#[test]
fn threads_files_and_commits_of_any_size_give_the_same_rows() {
    let scene = Scene::new();
    // Every event comes three times, far apart and close together.
    for file in 0..60_u32 {
        let records: Vec<_> = (0..20).map(|at| record((file * 7 + at * 11) % 400)).collect();
        scene.file(&format!("{file:02}.json.gz"), gzip(log(&records)));
    }
    let one = IngestOptions { threads: 1, ..IngestOptions::default() };
    let expected = rows(&scene, &one);
    assert_eq!(expected.len(), 1200);
    assert!(expected.iter().filter(|row| row.duplicate).count() > 700);
    for threads in [2, 5] {
        for (rows_per_file, rows_per_commit) in [(1, 1), (50, 200), (1000, 1_000_000)] {
            let options = IngestOptions { threads, rows_per_file, rows_per_commit };
            assert_eq!(rows(&scene, &options), expected, "{options:?}");
        }
    }
}

#[test]
fn a_corpus_of_every_kind_of_event_comes_back_byte_for_byte() {
    let scene = Scene::new();
    let options = CorpusOptions {
        mix: Mix::Varied,
        duplicates: 50,
        events_per_file: 50,
        threads: NonZeroUsize::MIN,
        ..CorpusOptions::new(2000)
    };
    let corpus = generate(&options, &scene.sources(), &mut |_| ()).unwrap();
    let report = scene.ingest();
    assert_eq!(report.rows, corpus.events + corpus.duplicates);
    assert_eq!((report.duplicates, report.files_new), (corpus.duplicates, corpus.files));
    let rows = scene.rows();
    assert!(rows.iter().all(|row| !row.raw));
    let bytes: usize = rows.iter().map(|row| row.record.len()).sum();
    assert_eq!(bytes as u64, corpus.json_bytes);
}
