//! A call as bytes on the heap: for captures in memory, tests and fuzzing.

use super::definition::encode_site;
use crate::callsite::Site;
use crate::value::Args;

/// What a call leaves in the journal, without the frames around it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encoded {
    /// The definition of the call site, for [`decode_site`](super::definition::decode_site).
    pub definition: Vec<u8>,
    /// The values of the call.
    pub payload: Vec<u8>,
}

/// Encodes a call. A payload above `payload_bytes_max` is cut to fit; if not even its fixed parts fit, it is empty.
pub fn encoded<A: Args>(site: &Site, args: &A, payload_bytes_max: usize) -> Encoded {
    let id = 1;
    let mut definition = vec![0; encode_site(id, &site.info, A::TYPES, &mut [])];
    encode_site(id, &site.info, A::TYPES, &mut definition);

    let mut payload: Vec<u8> = Vec::new();
    let (bytes, bytes_min) = (args.bytes(), args.bytes_min());
    if bytes <= payload_bytes_max {
        payload.reserve_exact(bytes);
        // SAFETY: `bytes` were reserved.
        unsafe { args.encode(payload.as_mut_ptr()) };
        // SAFETY: `encode` wrote exactly as many.
        unsafe { payload.set_len(bytes) };
    } else if bytes_min <= payload_bytes_max {
        payload.resize(payload_bytes_max, 0);
        let mut spare = payload_bytes_max - bytes_min;
        let start = payload.as_mut_ptr();
        // SAFETY: `bytes_min + spare` bytes are there.
        let end = unsafe { args.encode_cut(start, &mut spare) };
        payload.truncate(end as usize - start as usize);
    }
    Encoded { definition, payload }
}
