//! Files for `docker run --env-file`, as `parseKeyValueFile` of the docker client's `opts/file.go` reads them.

/// The most that Go's `bufio.Scanner` takes of a line, with its end.
const MOST: usize = 64 * 1024;

/// Its variables, in order; errors where the client would refuse a line, or take the variable from its own environment.
pub fn assignments(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut all = Vec::new();
    for line in text.split_inclusive('\n') {
        if line.len() > MOST {
            return Err("a line is longer than MaxScanTokenSize".to_owned());
        }
        // bufio.ScanLines.
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or_else(|| format!("{line:?} has no value"))?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(format!("{name:?} is no name"));
        }
        all.push((name.to_owned(), value.to_owned()));
    }
    Ok(all)
}
