//! Each request as a line of CSV, for figures that a report does not have.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::failure::Kind;

/// What the columns are.
const HEADER: &str = "sent_us,ended_us,latency_us,method,status,release,color,failure";

/// The file.
#[derive(Debug)]
pub struct Samples {
    file: BufWriter<File>,
    error: Option<io::Error>,
}

/// One line; times of day are microseconds since 1970 UTC.
#[derive(Debug)]
pub struct Row<'a> {
    /// When it was sent.
    pub sent: u64,
    /// When its answer or failure was there.
    pub ended: u64,
    /// How long it took, microseconds.
    pub latency: u64,
    /// Whether it was a POST.
    pub post: bool,
    /// Status of the answer; 0 without one.
    pub status: u16,
    /// Who answered.
    pub release: &'a str,
    /// In which color.
    pub color: &'a str,
    /// What went wrong.
    pub kind: Option<Kind>,
}

impl Samples {
    /// Creates the file, or empties it.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        writeln!(file, "{HEADER}")?;
        Ok(Self { file, error: None })
    }

    /// Adds a line; an error is kept for [`Samples::finish`].
    pub fn write(&mut self, row: &Row<'_>) {
        let Row {
            sent,
            ended,
            latency,
            post,
            status,
            release,
            color,
            kind,
        } = row;
        let method = if *post { "POST" } else { "GET" };
        let kind = kind.and_then(|kind| serde_json::to_value(kind).ok());
        let kind = kind.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
        let (release, color) = (plain(release), plain(color));
        let written = writeln!(
            self.file,
            "{sent},{ended},{latency},{method},{status},{release},{color},{kind}"
        );
        self.error = self.error.take().or(written.err());
    }

    /// Writes out what is still held; fails where any line could not be written.
    pub fn finish(mut self) -> io::Result<()> {
        match self.error {
            Some(error) => Err(error),
            None => self.file.flush(),
        }
    }
}

/// A field without what divides fields.
fn plain(field: &str) -> String {
    field.replace([',', '"'], "_")
}
