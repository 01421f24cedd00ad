//! What an answer must say to be the right one.

use hyper::HeaderMap;
use hyper::body::Bytes;
use serde::Deserialize;

/// The header that carries a POST's id, there and back. Of our own: proxies replace `X-Request-Id`.
pub const ID: &str = "x-echo-id";

/// The 64 bit FNV-1a hash of nothing, which [`fnv1a`] starts from.
pub const EMPTY: u64 = 0xcbf2_9ce4_8422_2325;

/// The 64 bit FNV-1a hash, continued.
pub fn fnv1a(hash: u64, data: &[u8]) -> u64 {
    data.iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Byte number `index` of every body that is sent or expected.
pub fn pattern(index: u64) -> u8 {
    u8::try_from(index % 251).unwrap_or(0)
}

/// A body of such bytes.
pub fn body(from: u64, to: u64) -> Bytes {
    (from..to).map(pattern).collect()
}

/// The answer of `/echo`.
#[derive(Deserialize)]
struct Echo {
    bytes: u64,
    fnv1a: String,
}

/// Fails where this is not the answer to the POST with this id, so many bytes and this checksum.
pub fn echo(id: &str, bytes: u64, checksum: u64, headers: &HeaderMap, answer: &[u8]) -> Result<(), String> {
    let answered = headers
        .get(ID)
        .map(|id| String::from_utf8_lossy(id.as_bytes()))
        .unwrap_or_default();
    if answered != id {
        return Err(format!("POST {id} was answered as {answered:?}"));
    }
    let echo: Echo = serde_json::from_slice(answer).map_err(|error| format!("POST {id}: {error}"))?;
    if echo.bytes != bytes {
        return Err(format!(
            "POST {id} with {bytes} bytes was answered as one with {}",
            echo.bytes
        ));
    }
    if echo.fnv1a != format!("{checksum:016x}") {
        return Err(format!("POST {id} was answered with the checksum of another body"));
    }
    Ok(())
}
