//! Parts of the long enumerations: a run of all tests would take hours with all of each.

/// Every `each`-th of `all`, from a random one on; all of them where `BGCTL_ALL` is set, as `vagrant/sandbox test --all` does. What
/// is tried is printed, and `BGCTL_PART` (a number) chooses it again.
pub fn of<T>(all: Vec<T>, each: usize) -> Vec<T> {
    if is_all() {
        return all;
    }
    let chosen = std::env::var("BGCTL_PART").map(|part| part.parse().expect("BGCTL_PART is a number"));
    let part = chosen.unwrap_or_else(|_| fastrand::usize(..each));
    eprintln!("one of each {each} of {}: BGCTL_PART={part}", all.len());
    all.into_iter().skip(part % each).step_by(each).collect()
}

/// Whether all of each is tried.
pub fn is_all() -> bool {
    std::env::var_os("BGCTL_ALL").is_some()
}
