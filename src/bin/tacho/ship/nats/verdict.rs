//! What the refusal of a message means. Pure.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::PublishErrorKind;

/// What is to be done with a message that was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Send it again: the server, or the stream, cannot take it now.
    Later,
    /// Never: because of what it is.
    Refuse,
    /// Never, and no other message either.
    Stop,
}

/// Judges an error by its kind, and by JetStream's number where it has one. What is not known is tried again: a full
/// stream, a server without a leader, and what later servers may say cost no record.
pub(super) fn verdict(kind: PublishErrorKind, number: Option<ErrorCode>) -> Verdict {
    const REFUSE: [ErrorCode; 2] =
        [ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM, ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM];
    const STOP: [ErrorCode; 3] =
        [ErrorCode::JETSTREAM_NOT_ENABLED, ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT, ErrorCode::STREAM_SEALED];
    if kind == PublishErrorKind::MaxPayloadExceeded || number.is_some_and(|number| REFUSE.contains(&number)) {
        Verdict::Refuse
    } else if number.is_some_and(|number| STOP.contains(&number)) {
        Verdict::Stop
    } else {
        Verdict::Later
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_with_a_message_refuses_it() {
        let other = PublishErrorKind::Other;
        assert_eq!(verdict(PublishErrorKind::MaxPayloadExceeded, None), Verdict::Refuse);
        assert_eq!(verdict(other, Some(ErrorCode(10_054))), Verdict::Refuse);
        assert_eq!(verdict(other, Some(ErrorCode(10_039))), Verdict::Stop);
        // A stream that is full, or whose disk is.
        assert_eq!(verdict(other, Some(ErrorCode(10_077))), Verdict::Later);
        for kind in [PublishErrorKind::StreamNotFound, PublishErrorKind::TimedOut, PublishErrorKind::BrokenPipe, other]
        {
            assert_eq!(verdict(kind, None), Verdict::Later);
        }
    }
}
