//! Where the cursor lives: etcd, shared by hosts, or the local store of one host.
