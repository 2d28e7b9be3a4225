//! The names of an attachment as files, for DNS servers that are not Azure's.

use std::fmt::Write;

use crate::api::vnet_attachment::DnsRecord;

/// Seconds that an answer may be kept: as long as Azure's own records.
const TTL: u32 = 10;

/// As a hosts file, which knows no names that stand for others: those are left out, and it says so.
pub fn hosts(records: &[DnsRecord]) -> String {
    let mut file = String::new();
    for record in records {
        // Writing to a String cannot fail.
        let _ = if record.name.starts_with('*') {
            writeln!(file, "# {} {} needs a DNS server: a hosts file has no wildcards", record.address, record.name)
        } else {
            writeln!(file, "{} {}", record.address, record.name)
        };
    }
    file
}

/// As records of a zone file (RFC 1035), with whole names, to be included into zones of one's own.
pub fn zone(records: &[DnsRecord]) -> String {
    let mut file = String::new();
    for record in records {
        let type_ = if record.address.contains(':') { "AAAA" } else { "A" };
        // Writing to a String cannot fail.
        let _ = writeln!(file, "{}. {TTL} IN {type_} {}", record.name, record.address);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_hold_every_name() {
        let record = |name: &str, address: &str| DnsRecord { name: name.into(), address: address.into() };
        let records =
            [record("*.we.inference.ml.azure.com", "10.0.0.6"), record("lake.blob.core.windows.net", "10.0.0.4")];
        assert_eq!(
            hosts(&records),
            "# 10.0.0.6 *.we.inference.ml.azure.com needs a DNS server: a hosts file has no wildcards\n10.0.0.4 lake.blob.core.windows.net\n"
        );
        assert_eq!(
            zone(&records),
            "*.we.inference.ml.azure.com. 10 IN A 10.0.0.6\nlake.blob.core.windows.net. 10 IN A 10.0.0.4\n"
        );
        assert!(zone(&[record("a.b", "fd00::1")]).contains(" IN AAAA fd00::1"));
    }
}
