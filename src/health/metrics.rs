//! A report for Prometheus, in its text format: `metrics.prom` for the node exporter's textfile collector, `tacho health --prom`.
//!
//! Names are stable. Times are seconds, sizes bytes; counters are since the start of the process that they name.

use super::check::State;
use super::report::Report;
use super::shippers::Vitals as Shipper;
use super::vitals::{Life, Ring, ServiceState, Vitals};
use crate::format::escape::push_text;
use crate::supervisor::Phase;
use std::fmt::Write as _;

/// Name of the file in the log directory.
pub const FILE: &str = "metrics.prom";

/// A metric with its samples.
struct Metric<'a> {
    out: &'a mut String,
    name: &'static str,
}

impl Metric<'_> {
    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        // Writing to a string does not fail.
        let _ = write!(self.out, "tachograph_{}{suffix}", self.name);
        for (index, (name, value)) in labels.iter().enumerate() {
            let lines: Vec<String> = value.split('\n').map(escaped).collect();
            let value = lines.join("\\n");
            let _ = write!(self.out, "{}{name}=\"{value}\"", if index == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.out, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

/// A line of a label's value, without control characters.
fn escaped(line: &str) -> String {
    let mut text = Vec::with_capacity(line.len());
    push_text(line, &mut text);
    String::from_utf8_lossy(&text).replace('\\', "\\\\").replace('"', "\\\"")
}

fn metric(out: &mut String, name: &'static str, kind: &str, help: &str, each: impl FnOnce(&mut Metric<'_>)) {
    let _ = write!(out, "# HELP tachograph_{name} {help}\n# TYPE tachograph_{name} {kind}\n");
    each(&mut Metric { out, name });
}

fn number(state: State) -> u8 {
    match state {
        State::Ok => 0,
        State::Warning => 1,
        State::Critical => 2,
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// The report in the text format of Prometheus.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    let all = || report.processes.iter().map(|checked| &checked.vitals);
    let out = &mut out;
    metric(out, "health_state", "gauge", "Health of the directory: 0 ok, 1 warning, 2 critical.", |metric| {
        metric.sample("", &[], number(report.state));
    });
    metric(out, "health_timestamp_seconds", "gauge", "When health was looked at.", |metric| {
        metric.sample("", &[], report.unix_ns as f64 / 1e9);
    });
    metric(out, "up", "gauge", "Whether the process lives.", |metric| {
        all().for_each(|vitals| {
            metric.sample("", &[("process", &vitals.process)], u8::from(vitals.life == Life::Alive))
        });
    });
    metric(out, "build_info", "gauge", "Version of the library in the process.", |metric| {
        all().for_each(|vitals| metric.sample("", &[("process", &vitals.process), ("version", &vitals.version)], 1));
    });
    metric(out, "finding_state", "gauge", "A finding that stands: 0 a hint, 1 warning, 2 critical.", |metric| {
        for checked in &report.processes {
            for finding in &checked.findings {
                let labels = [("process", &*checked.vitals.process), ("finding", &*finding.id)];
                metric.sample("", &labels, number(finding.state));
            }
        }
        for checked in &report.shippers {
            let label = checked.vitals.label();
            for finding in &checked.findings {
                metric.sample("", &[("process", &label), ("finding", &*finding.id)], number(finding.state));
            }
        }
    });
    shippers(out, &report.shippers.iter().map(|checked| &checked.vitals).collect::<Vec<_>>());
    counters(out, &all().collect::<Vec<_>>());
    gauges(out, &all().collect::<Vec<_>>());
    metric(
        out,
        "writer_lag_seconds",
        "histogram",
        "How long the oldest record of a step waited for the writer.",
        |metric| {
            all().for_each(|vitals| lag(metric, vitals));
        },
    );
    std::mem::take(out)
}

/// Who reads the journals with a cursor of its own. Counters are since its cursor was made.
fn shippers(out: &mut String, all: &[&Shipper]) {
    type Value = fn(&Shipper) -> f64;
    let gauges: [(&'static str, &'static str, Value); 4] = [
        ("ship_lag_seconds", "How long records wait that were not shipped, at the longest.", |v| seconds(v.lag_ns)),
        ("ship_waiting_bytes", "Bytes of archived segments that were not shipped.", |v| v.waiting.bytes as f64),
        ("ship_trouble", "Whether the receiver does not take what is sent.", |v| {
            f64::from(u8::from(v.status.trouble.is_some()))
        }),
        ("ship_written_timestamp_seconds", "When the shipper said last how it is.", |v| {
            v.status.written_unix_ns as f64 / 1e9
        }),
    ];
    for (name, help, value) in gauges {
        metric(out, name, "gauge", help, |metric| {
            all.iter().for_each(|vitals| metric.sample("", &[("shipper", &vitals.name)], value(vitals)));
        });
    }
    let counters: [Whole<Shipper>; 5] = [
        ("ship_records_total", "Records acknowledged.", |v| v.status.shipped),
        ("ship_rejected_records_total", "Records that the receiver took and did not want.", |v| v.status.rejected),
        ("ship_refused_records_total", "Records that the receiver refused for ever.", |v| v.status.refused),
        ("ship_retries_total", "Requests made again.", |v| v.status.retries),
        ("ship_lost_segments_total", "Segments that went before they were shipped.", Shipper::lost_segments),
    ];
    for (name, help, value) in counters {
        metric(out, name, "counter", help, |metric| {
            all.iter().for_each(|vitals| metric.sample("", &[("shipper", &vitals.name)], value(vitals)));
        });
    }
}

fn counters(out: &mut String, all: &[&Vitals]) {
    metric(out, "records_total", "counter", "Records in the journal, by level.", |metric| {
        for vitals in all {
            for level in &vitals.levels {
                metric.sample("", &[("process", &vitals.process), ("level", &level.name)], level.records);
            }
        }
    });
    metric(out, "target_records_total", "counter", "Records in the journal, by target.", |metric| {
        for vitals in all {
            for target in &vitals.targets {
                metric.sample("", &[("process", &vitals.process), ("target", &target.name)], target.records);
            }
        }
    });
    metric(out, "target_bytes_total", "counter", "Bytes of records in the journal, by target.", |metric| {
        for vitals in all {
            for target in &vitals.targets {
                metric.sample("", &[("process", &vitals.process), ("target", &target.name)], target.bytes);
            }
        }
    });
    metric(out, "dropped_records_total", "counter", "Records lost before the journal, by cause.", |metric| {
        for vitals in all {
            for (cause, count) in vitals.dropped.by_cause() {
                metric.sample("", &[("process", &vitals.process), ("cause", cause)], count);
            }
        }
    });
    metric(out, "sampled_out_records_total", "counter", "Records that sampling left out, by rule.", |metric| {
        for vitals in all {
            for (rule, count) in ["repeats", "every", "probability"].iter().zip(vitals.sampled_out) {
                metric.sample("", &[("process", &vitals.process), ("rule", rule)], count);
            }
        }
    });
    metric(out, "service_starts_total", "counter", "How often a supervised service was started.", |metric| {
        each_service(metric, all, |service| u64::from(service.starts));
    });
    let simple: [Whole<Vitals>; 8] = [
        ("journal_bytes_total", "Bytes of the journal.", |vitals| vitals.journal_bytes),
        ("lost_records_total", "Records lost behind the writer.", |vitals| vitals.lost),
        ("late_records_total", "Records that came later than order_wait allows.", |vitals| vitals.late),
        ("rotations_total", "Segments finished.", |vitals| vitals.rotations),
        ("compressions_total", "Files compressed.", |vitals| vitals.compressions),
        ("view_lines_total", "Lines appended to views.", |vitals| vitals.lines),
        ("disk_errors_total", "Failures of the disk.", |vitals| vitals.disk_errors),
        ("clock_steps_total", "Times that the wall clock was set.", |vitals| vitals.clock.steps),
    ];
    for (name, help, value) in simple {
        metric(out, name, "counter", help, |metric| {
            all.iter().for_each(|vitals| metric.sample("", &[("process", &vitals.process)], value(vitals)));
        });
    }
}

/// Name, help and value.
type Whole<T> = (&'static str, &'static str, fn(&T) -> u64);
/// Name, help, and the value where there is one.
type Gauge = (&'static str, &'static str, fn(&Vitals) -> Option<f64>);

fn gauges(out: &mut String, all: &[&Vitals]) {
    let simple: [Gauge; 15] = [
        ("start_timestamp_seconds", "When the logger was started.", |v| Some(v.started_unix_ns as f64 / 1e9)),
        ("writer_silent_seconds", "How long the writer has not run.", |v| v.writer_silent_ns.map(seconds)),
        ("worker_silent_seconds", "How long the worker has been at what it does.", |v| v.worker_silent_ns.map(seconds)),
        ("view_lag_seconds", "How old the oldest record is that is in no view yet.", |v| Some(seconds(v.view_lag_ns))),
        ("view_lag_records", "Records that are in no view yet.", |v| Some(v.view_lag_records as f64)),
        ("segments", "Live segments.", |v| Some(f64::from(v.segments))),
        ("segments_free", "Live segments that are free.", |v| Some(f64::from(v.segments_free))),
        ("views_failing", "Views that cannot be written.", |v| v.renders.then_some(v.views_failing as f64)),
        ("disk_used_bytes", "Bytes of all files in the log directory.", |v| on_disk(v, v.disk.used_bytes)),
        ("disk_free_bytes", "Bytes that the file system has left.", |v| on_disk(v, v.disk.free_bytes)),
        ("disk_size_bytes", "Bytes of the file system.", |v| on_disk(v, v.disk.total_bytes)),
        ("disk_full_in_seconds", "When the file system is full at the present rate.", |v| {
            v.disk.full_in_s.map(|s| s as f64)
        }),
        ("synced_timestamp_seconds", "When files were last forced to disk.", |v| {
            Some(v.disk.synced_unix_ns as f64 / 1e9)
        }),
        ("survives_kill", "Whether what was logged survives the process.", |v| {
            Some(f64::from(u8::from(v.survives_kill)))
        }),
        ("memory_locked", "Whether live memory is locked.", |v| Some(f64::from(u8::from(v.locked)))),
    ];
    for (name, help, value) in simple {
        metric(out, name, "gauge", help, |metric| {
            for vitals in all {
                if let Some(value) = value(vitals) {
                    metric.sample("", &[("process", &vitals.process)], value);
                }
            }
        });
    }
    let services: [Whole<ServiceState>; 2] = [
        ("service_up", "Whether a supervised service runs.", |service| u64::from(service.phase == Phase::Running)),
        ("service_failed", "Whether it has failed for good.", |service| u64::from(service.phase == Phase::Failed)),
    ];
    for (name, help, value) in services {
        metric(out, name, "gauge", help, |metric| each_service(metric, all, value));
    }
    let rings: [Whole<Ring>; 3] = [
        ("ring_fill_bytes", "Bytes that wait in a thread's ring.", |ring| ring.fill_bytes),
        ("ring_high_water_bytes", "The most that ever waited there.", |ring| ring.high_water_bytes),
        ("ring_size_bytes", "Its size.", |ring| ring.size_bytes),
    ];
    for (name, help, value) in rings {
        metric(out, name, "gauge", help, |metric| {
            for vitals in all {
                for ring in &vitals.rings {
                    let number = ring.number.to_string();
                    let labels = [("process", &*vitals.process), ("ring", &number), ("thread", &ring.thread)];
                    metric.sample("", &labels, value(ring));
                }
            }
        });
    }
}

fn each_service(metric: &mut Metric<'_>, all: &[&Vitals], value: fn(&ServiceState) -> u64) {
    for vitals in all {
        for service in &vitals.services {
            metric.sample("", &[("process", &vitals.process), ("service", &service.name)], value(service));
        }
    }
}

fn on_disk(vitals: &Vitals, bytes: u64) -> Option<f64> {
    (vitals.disk.measured_unix_ns != 0).then_some(bytes as f64)
}

/// Powers of four from 256 ns: 15 bounds, up to 69 s.
fn lag(metric: &mut Metric<'_>, vitals: &Vitals) {
    let buckets = &vitals.writer_lag.buckets;
    let below = |bound: u64| buckets.iter().filter(|(upper, _)| *upper <= bound).map(|(_, count)| count).sum::<u64>();
    for power in 0..15 {
        let bound = 256_u64 << (2 * power);
        let le = seconds(bound).to_string();
        metric.sample("_bucket", &[("process", &vitals.process), ("le", &le)], below(bound));
    }
    let count = below(u64::MAX);
    metric.sample("_bucket", &[("process", &vitals.process), ("le", "+Inf")], count);
    metric.sample("_sum", &[("process", &vitals.process)], seconds(vitals.writer_lag.sum_ns));
    metric.sample("_count", &[("process", &vitals.process)], count);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::check::{Limits, check};
    use crate::health::vitals::Lag;

    #[test]
    fn names_have_one_help_each_and_labels_are_escaped() {
        let vitals = Vitals {
            process: "a\"b\\c\nd".to_owned(),
            writer_lag: Lag { sum_ns: 1_500_000_000, buckets: vec![(300, 2), (2_000_000_000, 1)], ..Lag::default() },
            ..Vitals::default()
        };
        let report = Report::new("d", 1, vec![check(None, vitals, &Limits::default())], Vec::new());
        let text = text(&report);
        let mut names: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(text.contains("tachograph_up{process=\"a\\\"b\\\\c\\nd\"} 1\n"), "{text}");
        for line in [
            "_bucket{process=\"a\\\"b\\\\c\\nd\",le=\"0.000000256\"} 0",
            "le=\"0.000001024\"} 2",
            "le=\"+Inf\"} 3",
            "_sum{process=\"a\\\"b\\\\c\\nd\"} 1.5",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
