//! The mutex of a model or of a simulation, with the signatures of parking_lot's.

use std::sync::{PoisonError, TryLockError};

#[cfg(pool_loom)]
use loom as checker;
#[cfg(pool_sim)]
use shuttle as checker;

pub use checker::sync::MutexGuard;

/// A lock that is a step of the run.
#[derive(Debug, Default)]
pub struct Mutex<T>(checker::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// Wraps `value`.
    pub fn new(value: T) -> Self {
        Self(checker::sync::Mutex::new(value))
    }

    /// Locks; a poisoned lock is as good as any, since no user code runs under one.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks, unless it is locked already.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
