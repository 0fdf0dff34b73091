//! Counters: one enum names them, and its discriminant is their index.

/// Declares an enum of counters, in the order in which they are shown.
///
/// Each variant carries its help text as documentation and its exported name
/// as a literal. The enum gets `ALL`, `COUNT`, [`name`] and [`help`].
///
/// [`name`]: #method.name
/// [`help`]: #method.help
#[macro_export]
macro_rules! counters {
    (
        $(#[$meta:meta])*
        pub enum $enum:ident {
            $( #[doc = $help:literal] $variant:ident = $name:literal, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum $enum {
            $( #[doc = $help] $variant, )+
        }

        impl $enum {
            /// Every counter, in order of its index.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// How many counters there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The exported name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$variant => $name, )+
                }
            }

            /// What is counted, as a sentence for people.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self {
                    $( Self::$variant => $help.trim_ascii(), )+
                }
            }

            /// The place of this counter in an array of all of them.
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}
