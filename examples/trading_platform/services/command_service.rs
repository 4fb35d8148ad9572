use crate::desk::Work;
use crate::market::{Kind, Message};
use tachograph::{Component, info};

/// Acknowledges what traders ask for.
pub(crate) struct CommandService;

impl Work for CommandService {
    fn name(&self) -> &'static str {
        "command_service"
    }

    fn take(&mut self, log: Component, message: &Message) {
        let command = match message.kind {
            Kind::Submission => "submit",
            Kind::PartialCancellation => "reduce",
            Kind::Deletion => "cancel",
            Kind::Execution | Kind::HiddenExecution | Kind::CrossTrade | Kind::Halt => "none",
        };
        info!(logger: log, order_id = message.order_id, command = command; "acknowledged");
    }
}
