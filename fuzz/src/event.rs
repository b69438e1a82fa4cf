//! Log files: every record that is found splits into columns and joins to the same bytes, whoever wrote it.

use keytrail_event::{AccountId, Arn, Guid, Region, Timestamp, join, read_log, split, split_log};

/// Reads a log file, and each of the small texts that a record holds.
pub fn event(data: &[u8]) {
    let log = read_log(data);
    let mut rows = Vec::new();
    let end = split_log(data, &mut |found, row| rows.push((found, row)));
    assert_eq!((end.kind, end.broken), (log.kind, log.broken));
    assert_eq!(end.records, log.records.len());
    for (found, row) in &rows {
        assert_eq!(&data[found.offset..][..found.bytes.len()], found.bytes);
        assert_eq!(row, &split(found.bytes));
        let Ok(row) = row else { continue };
        let joined = join(row).expect("what was split can be joined");
        assert_eq!(joined, found.bytes, "joined to other bytes");
    }
    if let Ok(row) = split(data) {
        assert_eq!(join(&row).as_deref(), Ok(data));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(arn) = Arn::parse(text) {
        assert_eq!(arn.to_string(), text);
    }
    if let Ok(time) = Timestamp::parse_event_time(text) {
        assert_eq!(time.event_time(), text);
    }
    if let Ok(guid) = Guid::parse(text) {
        assert_eq!(Guid::parse(&guid.to_string()), Ok(guid));
    }
    assert!(AccountId::parse(text).is_err() || text.len() == 12);
    assert!(Region::parse(text).is_err() || !text.is_empty());
}
