//! Error numbers a hypercall returns, negated, in rax (`errno.h`). Xen's numbers are Linux's.

use core::fmt;

macro_rules! errnos {
    ($($(#[$doc:meta])* $name:ident = $value:literal,)*) => {
        /// A hypercall's failure. The ABI value is the negated number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum Errno { $($(#[$doc])* $name = $value,)* }
        impl Errno {
            /// The number's name as in the header.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Errno::$name => stringify!($name),)* }
            }
            /// What `rax` holds: the negated number.
            #[must_use]
            pub const fn to_ret(self) -> i64 { -(self as i32 as i64) }
            /// The failure a return value stands for; `None` for success or a number not here.
            #[must_use]
            pub const fn from_ret(ret: i64) -> Option<Errno> {
                $(if ret == Errno::$name.to_ret() { return Some(Errno::$name); })*
                None
            }
        }
    };
}

errnos! {
    /// Not permitted.
    EPERM = 1,
    /// Nothing of that name.
    ENOENT = 2,
    /// No such domain.
    ESRCH = 3,
    /// Too many arguments.
    E2BIG = 7,
    /// No such port or channel.
    EBADF = 9,
    /// Try again.
    EAGAIN = 11,
    /// Out of memory.
    ENOMEM = 12,
    /// Not allowed.
    EACCES = 13,
    /// A guest pointer that does not map.
    EFAULT = 14,
    /// In use in a way that excludes this.
    EBUSY = 16,
    /// There already.
    EEXIST = 17,
    /// No such device.
    ENODEV = 19,
    /// An argument that cannot be.
    EINVAL = 22,
    /// None left.
    ENOSPC = 28,
    /// No such hypercall or command.
    ENOSYS = 38,
    /// The time is past.
    ETIME = 62,
    /// The call goes on when it is executed again; the hypervisor's own, no guest sees it.
    ERESTART = 85,
    /// Not supported here.
    EOPNOTSUPP = 95,
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl core::error::Error for Errno {}
