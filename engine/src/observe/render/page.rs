//! Writing families and their samples through the encoder of the `prometheus-client` crate.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder};
use prometheus_client::metrics::MetricType;

use crate::observe::family::Family;
use crate::observe::latency::{DURATION_BOUNDS_US, Distribution, SIZE_BOUNDS};

pub(super) type Labels<'a> = [(&'a str, &'a str)];

/// The page being written.
pub(super) struct Page<'a>(DescriptorEncoder<'a>);

impl<'a> Page<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    pub(super) fn family(&mut self, family: &'static Family) -> Result<Samples<'_>, fmt::Error> {
        let encoder =
            self.0.encode_descriptor(family.name, family.help, family.unit.as_ref(), family.kind)?;
        Ok(Samples(encoder))
    }

    pub(super) fn descriptor<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricType,
    ) -> Result<Samples<'s>, fmt::Error> {
        Ok(Samples(self.0.encode_descriptor(name, help, None, kind)?))
    }
}

/// The samples of one family.
pub(super) struct Samples<'a>(MetricEncoder<'a>);

impl Samples<'_> {
    pub(super) fn number(&mut self, family: &Family, labels: &Labels, value: u64) -> fmt::Result {
        match family.kind {
            MetricType::Counter => self.counter(labels, &value),
            _ => self.gauge(labels, &value),
        }
    }

    pub(super) fn info(&mut self, labels: &Labels) -> fmt::Result {
        self.0.encode_info(&labels)
    }

    pub(super) fn counter(&mut self, labels: &Labels, value: &impl EncodeCounterValue) -> fmt::Result {
        self.labelled(labels, |encoder| encoder.encode_counter::<[(&str, &str); 0], _, u64>(value, None))
    }

    pub(super) fn gauge(&mut self, labels: &Labels, value: &impl EncodeGaugeValue) -> fmt::Result {
        self.labelled(labels, |encoder| encoder.encode_gauge(value))
    }

    #[allow(clippy::cast_precision_loss, reason = "a sum of microseconds is exact up to 285 years")]
    pub(super) fn durations(&mut self, labels: &Labels, distribution: &Distribution) -> fmt::Result {
        let seconds = |micros: u64| micros as f64 / 1e6;
        self.histogram(labels, distribution, &DURATION_BOUNDS_US, seconds)
    }

    #[allow(clippy::cast_precision_loss, reason = "exact up to 2^53 records")]
    pub(super) fn sizes(&mut self, labels: &Labels, distribution: &Distribution) -> fmt::Result {
        self.histogram(labels, distribution, &SIZE_BOUNDS, |records| records as f64)
    }

    fn histogram<const N: usize>(
        &mut self,
        labels: &Labels,
        distribution: &Distribution,
        bounds: &[u64; N],
        scale: impl Fn(u64) -> f64,
    ) -> fmt::Result {
        let (counts, above) = distribution.counts_by_bound(bounds);
        let mut buckets: Vec<(f64, u64)> = bounds.iter().map(|bound| scale(*bound)).zip(counts).collect();
        buckets.push((f64::INFINITY, above));
        let sum = scale(distribution.sum());
        self.labelled(labels, |encoder| {
            encoder.encode_histogram::<[(&str, &str); 0]>(sum, distribution.count(), &buckets, None)
        })
    }

    fn labelled(
        &mut self,
        labels: &Labels,
        encode: impl FnOnce(&mut MetricEncoder) -> fmt::Result,
    ) -> fmt::Result {
        // An empty set would be written as `{}`.
        if labels.is_empty() { encode(&mut self.0) } else { encode(&mut self.0.encode_family(&labels)?) }
    }
}
