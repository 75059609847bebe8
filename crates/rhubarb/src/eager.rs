//! A future that goes on at once where it woke itself.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;

/// How often one poll polls the future: what goes on for longer is the runtime's to share out.
const POLLS: usize = 8;

/// Polls a future again when it was woken during its own poll, up to [`POLLS`] times.
///
/// apalis's stream of a worker wakes itself to go on with what it has just been given. The runtime
/// would first ask the network, and poll all others that are awake: 0.1 ms of a lone task's way.
#[derive(Debug)]
pub(crate) struct Eager<F> {
    inner: Pin<Box<F>>,
    bell: Arc<Bell>,
    waker: Waker,
}

impl<F: Future> Eager<F> {
    pub(crate) fn new(inner: F) -> Self {
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        Self { inner: Box::pin(inner), bell, waker }
    }
}

impl<F: Future> Future for Eager<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { inner, bell, waker } = &mut *self;
        bell.outer.register(context.waker());
        for _ in 0..POLLS {
            bell.state.store(POLLING, Ordering::SeqCst);
            if let Poll::Ready(output) = inner.as_mut().poll(&mut Context::from_waker(waker)) {
                return Poll::Ready(output);
            }
            if bell.rests() {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Nobody polls, and who rings wakes the task.
const RESTING: u8 = 0;
/// It is being polled, and who rings has it polled again.
const POLLING: u8 = 1;
/// It will be polled.
const RUNG: u8 = 2;

#[derive(Debug, Default)]
struct Bell {
    state: AtomicU8,
    outer: AtomicWaker,
}

impl Bell {
    /// Ends a poll; false if the bell has rung since it began.
    fn rests(&self) -> bool {
        let (was, is) = (POLLING, RESTING);
        self.state.compare_exchange(was, is, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(RUNG, Ordering::SeqCst) == RESTING {
            self.outer.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, sync::atomic::AtomicUsize, task::ready};

    use tokio::sync::mpsc;

    use super::*;

    /// Counts how often a task is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Polls a future once; tells whether it ended, how often it was polled, and woken from
    /// outside.
    fn once(wakes_itself: usize) -> (bool, usize, usize) {
        let mut polls = 0;
        let mut eager = Eager::new(poll_fn(|context| {
            polls += 1;
            if polls > wakes_itself {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let ended = Pin::new(&mut eager).poll(&mut Context::from_waker(&waker)).is_ready();
        drop(eager);
        (ended, polls, woken.0.load(Ordering::SeqCst))
    }

    #[test]
    fn what_wakes_itself_goes_on_at_once_and_hogs_no_thread() {
        assert_eq!(once(0), (true, 1, 0));
        assert_eq!(once(POLLS - 1), (true, POLLS, 0));
        assert_eq!(once(POLLS), (false, POLLS, 1));
        assert_eq!(once(usize::MAX), (false, POLLS, 1));
    }

    #[test]
    fn what_rests_is_woken_from_outside_once_and_by_whom_it_waits_for() {
        let (send, mut receive) = mpsc::unbounded_channel::<u32>();
        let mut eager = Eager::new(poll_fn(|context| {
            let first = ready!(receive.poll_recv(context));
            Poll::Ready(first)
        }));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut poll = || Pin::new(&mut eager).poll(&mut Context::from_waker(&waker));
        assert!(poll().is_pending());
        send.send(7).unwrap();
        send.send(8).unwrap();
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert_eq!(poll(), Poll::Ready(Some(7)));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_waking_by_another_thread_is_lost() {
        const N: u32 = 100_000;
        let (send, mut receive) = mpsc::channel(1);
        let sending = tokio::spawn(async move {
            for n in 0..N {
                send.send(n).await.unwrap();
            }
        });
        let receiving = async move {
            let mut n = 0;
            while receive.recv().await.is_some() {
                n += 1;
            }
            n
        };
        assert_eq!(tokio::spawn(Eager::new(receiving)).await.unwrap(), N);
        sending.await.unwrap();
    }
}
