//! What a repair takes out of the way: `/etc/bgctl/saved/TIME/PATH`, where nothing reads it, and where it stays.

use camino::{Utf8Path, Utf8PathBuf};

use crate::files;
use crate::host::layout::Layout;

/// Keeps a copy of a file; says where. None where there is no such file.
pub fn copy(layout: &Layout, path: &Utf8Path) -> eyre::Result<Option<Utf8PathBuf>> {
    let Some(bytes) = files::read_bytes(path)? else {
        return Ok(None);
    };
    files::ensure_dir(&layout.saved(), 0o700)?;
    let now = jiff::Timestamp::now();
    let below = path.strip_prefix(layout.root()).unwrap_or(path);
    let kept = layout.saved().join(now.to_string()).join(below);
    if let Some(folder) = kept.parent() {
        files::make_dirs(folder)?;
    }
    // It may hold secrets.
    files::write(&kept, bytes, 0o600)?;
    Ok(Some(kept))
}

/// Moves a file there; says where it is now.
pub fn put_aside(layout: &Layout, path: &Utf8Path) -> eyre::Result<Option<Utf8PathBuf>> {
    let kept = copy(layout, path)?;
    files::remove(path)?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_that_is_put_aside_is_still_there() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(Utf8PathBuf::try_from(root.path().to_owned()).unwrap());
        let site = layout.below("etc/nginx/conf.d/shop.conf");
        files::make_dirs(site.parent().unwrap()).unwrap();
        let mut kept = Vec::new();
        for text in ["one", "two"] {
            fs_err::write(&site, text).unwrap();
            kept.push(put_aside(&layout, &site).unwrap().unwrap());
            assert!(!site.exists());
        }
        assert_eq!(put_aside(&layout, &site).unwrap(), None);
        let texts = kept.iter().map(|path| fs_err::read_to_string(path).unwrap());
        assert_eq!(texts.collect::<Vec<_>>(), ["one", "two"]);
    }
}
