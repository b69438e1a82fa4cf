//! The engine for async callers: the same calls, none of which holds up the runtime.
//!
//! A call waits until its record is durable, which is the length of a disk's sync, and it works meanwhile for everybody
//! who waits with it: whoever waits first commits for all. So a call is blocking work, and goes to the runtime's threads
//! for that. An engine that was async inside would need a thread of its own to commit, and its calls would wait as long.
//!
//! What this leaves to others: a bound on the calls under way. The runtime's pool has one (512 threads by default), and
//! who serves strangers wants a smaller one in front, as the crate `server` has.

use std::panic::resume_unwind;
use std::sync::Arc;

use crate::{Answer, Caller, Engine, KmsError};

/// An [`Engine`] whose calls can be awaited, on a tokio runtime of either kind. A clone is another handle to the same
/// engine; the engine is dropped, and with that saved and closed, when the last handle is.
///
/// **A call that nobody awaits any more goes on**: dropping its future does not undo it, and its record is written. The
/// log says what happened, not who still listened.
#[derive(Clone)]
pub struct AsyncEngine(Arc<Engine>);

impl AsyncEngine {
    /// A handle to the engine.
    pub fn new(engine: impl Into<Arc<Engine>>) -> Self {
        Self(engine.into())
    }

    /// The engine itself, for what needs no waiting: [`Engine::root_caller`], [`Engine::ledger`].
    pub fn engine(&self) -> &Engine {
        &self.0
    }

    /// Carries out an operation of the KMS API, like [`Engine::call`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn call(
        &self,
        caller: Caller,
        operation: impl Into<String>,
        input: impl Into<Vec<u8>>,
    ) -> Result<Answer, KmsError> {
        let (operation, input) = (operation.into(), input.into());
        self.run(move |engine| engine.call(&caller, &operation, &input)).await
    }

    /// Does anything with the engine that blocks, such as one of its typed methods, or several calls in a row.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, and when `work` does.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> T {
        let engine = Arc::clone(&self.0);
        match tokio::task::spawn_blocking(move || work(&engine)).await {
            Ok(done) => done,
            // Work that has begun is not cancelled, and a runtime that shuts down drops who awaits it: so it panicked.
            Err(error) => resume_unwind(error.into_panic()),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::sync::mpsc::channel;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use super::*;
    use crate::{Config, CreateKeyRequest, Environment, RootKey};
    use keytrail_testkit::SeededRandom;
    use tokio::runtime;

    fn engine(data: &tempfile::TempDir) -> AsyncEngine {
        let root_key = RootKey::generate(&SeededRandom::new(1));
        let config = Config::for_tests();
        let created = Engine::create(data.path(), config, root_key, Environment::system());
        AsyncEngine::new(created.unwrap().0)
    }

    /// The runtime has one thread, and the first call waits for the second.
    #[test]
    fn a_call_that_waits_leaves_the_runtime_to_others() {
        let data = tempfile::tempdir().unwrap();
        let engine = engine(&data);
        let (done, second_is_done) = channel();
        let first = {
            let engine = engine.clone();
            let wait = move |_: &Engine| second_is_done.recv_timeout(Duration::from_mins(1));
            async move { engine.run(wait).await }
        };
        let second = async move {
            let caller = engine.engine().root_caller().unwrap();
            done.send(engine.call(caller, "ListKeys", "{}").await.map(|_| ())).unwrap();
        };
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let first = tokio::spawn(first);
            second.await;
            assert_eq!(first.await.unwrap(), Ok(Ok(())));
        });
    }

    #[test]
    fn many_calls_at_once_are_each_recorded() {
        let data = tempfile::tempdir().unwrap();
        let engine = engine(&data);
        let root = engine.engine().root_caller().unwrap();
        let key = engine.engine().create_key(&root, &CreateKeyRequest::default()).unwrap().key_id;
        let before = engine.engine().ledger().size();
        runtime::Runtime::new().unwrap().block_on(async {
            let encrypt = |number: u8| {
                let (engine, root, key) = (engine.clone(), root.clone(), key.clone());
                let work = move |engine: &Engine| engine.encrypt(&root, &key, &[number], &[]);
                tokio::spawn(async move { engine.run(work).await.is_ok() })
            };
            let calls: Vec<_> = (0..64).map(encrypt).collect();
            for call in calls {
                assert!(call.await.unwrap());
            }
        });
        assert_eq!(engine.engine().ledger().size(), before + 64);
    }

    #[test]
    fn a_call_that_nobody_awaits_any_more_is_still_recorded() {
        let data = tempfile::tempdir().unwrap();
        let engine = engine(&data);
        let root = engine.engine().root_caller().unwrap();
        let before = engine.engine().ledger().size();
        let (done, is_done) = channel();
        let work = move |engine: &Engine| {
            engine.call(&root, "ListKeys", b"{}").unwrap();
            done.send(()).unwrap();
        };
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut call = pin!(engine.run(work));
            assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        });
        is_done.recv_timeout(Duration::from_mins(1)).unwrap();
        assert_eq!(engine.engine().ledger().size(), before + 1);
    }
}
