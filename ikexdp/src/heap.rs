//! How memory comes from the kernel.
#![expect(unsafe_code, reason = "an option of the C library")]

use crate::jobs::Cpus;

/// Has all threads of this process share one heap, where they cannot run at once, and the C
/// library is glibc. To be called before there are any.
///
/// glibc gives each thread a heap of its own, so that none waits for another, which grows by a
/// page at a time: by a system call for every other client. The one that is shared grows by 33
/// pages.
pub fn fit(cpus: Cpus) {
    if cpus.is_one {
        // SAFETY: it takes two integers, and says whether it has understood them: if not, it
        // is slower.
        #[cfg(target_env = "gnu")]
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, 1);
        }
    }
}
