//! The two I/O drivers; every end-to-end test runs on both.

/// An I/O driver of the engine, chosen with `server.driver`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// `io_uring`
    IoUring,
    /// epoll
    Epoll,
}

impl Driver {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        }
    }
}

/// Makes two tests of each function `fn(Driver)`: `<name>::on_io_uring` and `<name>::on_epoll`.
///
/// Where the kernel forbids `io_uring` the first of them fails, since a test that silently does nothing is worth
/// nothing. The runner leaves them out, and counts them as skipped, when `MILLRUN_TEST_NO_IO_URING=1` is set.
#[macro_export]
macro_rules! on_both_drivers {
    ($($scenario:ident),+ $(,)?) => {
        $(
            mod $scenario {
                #[test]
                fn on_io_uring() {
                    super::$scenario($crate::Driver::IoUring);
                }

                #[test]
                fn on_epoll() {
                    super::$scenario($crate::Driver::Epoll);
                }
            }
        )+
    };
}
