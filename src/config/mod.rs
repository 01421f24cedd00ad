//! TOML to validated settings and manifest; unknown keys are refused.
