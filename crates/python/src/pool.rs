//! The children: each is idle, or runs one task.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rhubarb::outside::Processes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Options, child::Child, zygote::Zygote};

/// How long children may take to end by themselves when the worker stops.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// All children.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) zygote: Zygote,
    idle: Mutex<Vec<Child>>,
    places: Arc<Semaphore>,
    max_tasks: u64,
    processes: Processes,
}

impl Pool {
    /// Makes a pool without any child yet.
    pub(crate) fn new(zygote: Zygote, options: &Options, processes: Processes) -> Arc<Self> {
        Arc::new(Self {
            zygote,
            idle: Mutex::default(),
            places: Arc::new(Semaphore::new(options.processes)),
            max_tasks: options.max_tasks_per_child,
            processes,
        })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Child>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to fork all children that there may be, so that no task waits for one.
    pub(crate) fn fill(self: &Arc<Self>) {
        while let Ok(place) = self.places.clone().try_acquire_owned() {
            let pool = self.clone();
            tokio::spawn(async move {
                if let Ok(taken) = pool.another(place).await {
                    taken.give_back();
                }
            });
        }
    }

    /// Waits until one child more may run a task; `None` when the worker stops.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().acquire_owned().await.ok()
    }

    /// Returns a child that is free, or a new one once it is ready, however long that takes.
    ///
    /// # Errors
    ///
    /// None can be forked now.
    pub(crate) async fn at(self: &Arc<Self>, place: OwnedSemaphorePermit) -> Result<Taken, String> {
        loop {
            let idle = self.idle().pop();
            let Some(mut child) = idle else { break };
            if !child.has_ended() {
                return Ok(self.taken(child, place));
            }
        }
        self.another(place).await
    }

    /// Forks one and waits until it is ready.
    async fn another(self: &Arc<Self>, place: OwnedSemaphorePermit) -> Result<Taken, String> {
        let child = Child::new(self.zygote.fork().await?, self.processes.clone());
        let mut taken = self.taken(child, place);
        let ready = taken.child().receive().await;
        ready.map_err(|gone| format!("a new Python process ended at once: {gone}"))?;
        Ok(taken)
    }

    fn taken(self: &Arc<Self>, child: Child, place: OwnedSemaphorePermit) -> Taken {
        Taken { child: Some(child), pool: self.clone(), _place: place }
    }

    /// Ends all idle children and the zygote.
    pub(crate) async fn close(&self) {
        self.places.close();
        let children = std::mem::take(&mut *self.idle());
        let ended = async {
            for child in children {
                child.end().await;
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, ended).await;
        self.zygote.end().await;
    }
}

/// A child in the hands of one task; it is killed when it is dropped without being given back.
#[derive(Debug)]
pub(crate) struct Taken {
    child: Option<Child>,
    pool: Arc<Pool>,
    _place: OwnedSemaphorePermit,
}

impl Taken {
    /// Returns the child.
    pub(crate) fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it is given back once")
    }

    /// Gives it back for the next task, or lets it end where it has run enough of them.
    pub(crate) fn give_back(mut self) {
        let Some(child) = self.child.take() else { return };
        let most = self.pool.max_tasks;
        if most == 0 || child.given < most {
            self.pool.idle().push(child);
        }
    }

    /// Lets it end by itself: its socket closes.
    pub(crate) fn let_go(mut self) {
        self.child = None;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            self.pool.zygote.kill(child.pid);
        }
    }
}
