//! A verdict as text: one screen.

use std::fmt;

use super::verdict::{Class, Verdict};

/// Ids in a line of the table; the JSON has more.
const IDS_IN_LINE: usize = 3;

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "audit of run {}: {}\n", self.run, self.headline())?;
        row(f, "sent", self.sent, "requests that should leave a record")?;
        row(f, "acked", self.acked, "answered 2xx")?;
        row(f, "stored", self.stored, "found in the store")?;
        bad(f, "LOST", &self.lost, &format!("acked, not there; {} events", self.lost_events))?;
        bad(
            f,
            "CORRUPT",
            &self.corrupt,
            &format!("not what was sent; {} of them acked", self.corrupt_acked),
        )?;
        bad(f, "duplicated", &self.duplicated, &format!("{} extra copies", self.extra_copies))?;
        bad(
            f,
            "stored though refused",
            &self.stored_though_refused,
            "a client that retries makes a duplicate",
        )?;
        row(f, "refused", self.refused, "answered with another status, or never received")?;
        row(f, "no answer, stored", self.unknown_stored, "honest either way")?;
        row(f, "no answer, missing", self.unknown_missing, "honest either way")?;
        self.rare(f)
    }
}

impl Verdict {
    fn headline(&self) -> String {
        if !self.passed() {
            return format!(
                "FAILED, of {} acked {} are lost and {} corrupt",
                self.acked, self.lost.count, self.corrupt_acked
            );
        }
        if !self.proves_something() {
            return "FAILED, nothing was acked, so nothing is proved; is the target up?".to_owned();
        }
        format!("PASSED, all {} acked are stored as sent", self.acked)
    }

    /// What is told only where it was seen, and the way out.
    fn rare(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.leaving_nothing > 0 {
            row(f, "leaving nothing", self.leaving_nothing, "preflights and the like, sent beside")?;
        }
        seldom(f, "stored needlessly", &self.stored_needlessly, "should have left nothing")?;
        seldom(f, "phantom", &self.phantom, "records with an id that was never sent")?;
        seldom(f, "unreadable", &self.unreadable, "records that name no request")?;
        seldom(f, "damaged", &self.damaged, "files with an end that can't be read")?;
        for (name, count, meaning) in [
            ("foreign", self.foreign, "records of other traffic"),
            ("torn", self.torn, "half a record at the end of an open file: honest"),
            ("open, not read", self.unread, "files still being written"),
        ] {
            if count > 0 {
                row(f, name, count, meaning)?;
            }
        }
        if self.lost.count > 0 && self.unread > 0 {
            writeln!(
                f,
                "\nlost requests may be in the {} open files: leave include_open=false out",
                self.unread
            )?;
        }
        if self.lost.count > 0 && self.stored == 0 && self.records > 0 {
            writeln!(
                f,
                "\n{} records were read, none is of this run: check --store and --form",
                self.records
            )?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, count: u64, meaning: &str) -> fmt::Result {
    writeln!(f, "  {name:<22}{count:>12}   {meaning}")
}

/// A row that should be zero: with the first ids when it is not.
fn bad(f: &mut fmt::Formatter<'_>, name: &str, class: &Class, meaning: &str) -> fmt::Result {
    if class.count == 0 {
        return writeln!(f, "  {name:<22}{:>12}", 0);
    }
    row(f, name, class.count, meaning)?;
    let more = if class.count > IDS_IN_LINE as u64 { ", …" } else { "" };
    let first: Vec<_> = class.first.iter().take(IDS_IN_LINE).map(String::as_str).collect();
    writeln!(f, "      {}{more}", first.join(", "))?;
    Ok(())
}

fn seldom(f: &mut fmt::Formatter<'_>, name: &str, class: &Class, meaning: &str) -> fmt::Result {
    if class.count == 0 { Ok(()) } else { bad(f, name, class, meaning) }
}
