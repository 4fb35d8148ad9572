//! The eight services, each in a file of its own.

mod command_service;
mod dashboard;
mod execution_guard;
mod execution_service;
mod order_watcher;
mod recovery_service;
mod risk_manager;
mod trading_bot;

use crate::desk::Work;

/// All of them, in the order in which they start.
pub(crate) fn all() -> Vec<Box<dyn Work>> {
    vec![
        Box::new(recovery_service::RecoveryService::default()),
        Box::new(order_watcher::OrderWatcher::default()),
        Box::new(risk_manager::RiskManager::default()),
        Box::new(execution_guard::ExecutionGuard::default()),
        Box::new(execution_service::ExecutionService::default()),
        Box::new(command_service::CommandService),
        Box::new(trading_bot::TradingBot::default()),
        Box::new(dashboard::Dashboard::default()),
    ]
}
