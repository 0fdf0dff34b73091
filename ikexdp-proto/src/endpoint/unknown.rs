//! Messages for IKE SAs that there are not, or not any more.

use super::Endpoint;
use crate::limits::INVALID_SPIS;
use crate::stats::Stat;
use crate::types::{Datagram, Spi};
use crate::wire::header::Header;
use crate::wire::iana::{ExchangeType, NotifyType, PayloadType};
use crate::wire::payload::notify::Notify;

impl Endpoint {
    /// RFC 7296 §1.5, §2.21.4: who speaks under an IKE SA that is lost may hear so,
    /// for which it proves nothing. A response is never answered.
    pub(super) fn unknown_spi(&mut self, header: &Header, ours: Spi, datagram: &Datagram<'_>) {
        self.host.stats.count(Stat::UnknownSpi);
        let is_protected = matches!(
            header.next_payload,
            PayloadType::ENCRYPTED | PayloadType::ENCRYPTED_FRAGMENT
        );
        let is_known = matches!(
            header.exchange,
            ExchangeType::IKE_AUTH | ExchangeType::CREATE_CHILD_SA | ExchangeType::INFORMATIONAL
        );
        let is_request = !header.response && ours != Spi::ZERO;
        if !is_request || !is_protected || !is_known || self.leaving {
            return;
        }
        let host = &mut self.host;
        let address = datagram.path.remote.ip();
        let answers = &mut self.invalid_spis;
        if answers.admit(&INVALID_SPIS, host.now, address).is_err() {
            return host.stats.count(Stat::InvalidSpiWithheld);
        }
        host.stats.count(Stat::InvalidSpiSent);
        let notify = Notify::new(NotifyType::INVALID_IKE_SPI, &[]);
        self.reply(header, datagram, &notify);
    }
}
