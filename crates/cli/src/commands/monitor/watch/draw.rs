//! How the live view looks. Pure: the past in, cells out, in any size.

use std::time::Instant;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize},
    symbols::border,
    text::{Line, Span},
    widgets::{Block, Paragraph, Row, Sparkline, Table},
};

use super::{
    super::number::{bytes, grouped, length, percent, whole},
    history::{History, QueueHistory, Series, ServerHistory},
};
use crate::table::clean;

/// Below this width there are two charts beside one another in place of four.
const WIDE: u16 = 72;
/// A chart with its border, its number and as many rows of bars as are of use.
const TALL: u16 = 9;
/// A chart of which only border and number fit.
const FLAT: u16 = 3;
/// The number of steps in a bar's height.
const STEPS: f64 = 1000.0;

/// One small chart.
struct Chart<'a> {
    title: &'static str,
    value: String,
    series: &'a Series,
    /// What the chart's bottom is.
    floor: Floor,
}

/// What stands for the bottom of a chart.
#[derive(Clone, Copy)]
enum Floor {
    /// Zero.
    Zero,
    /// Below the least point, with as much above the greatest: for what changes little.
    Around,
    /// Zero, with one for the top.
    Share,
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, history: &History, now: Instant) {
    let area = frame.area();
    let fits = |tall: &u16| needed(history, area, *tall) <= area.height;
    let charts_tall = (FLAT..=TALL).rev().find(fits).unwrap_or(FLAT);
    let (title, mut rest) = cut(area, 1);
    frame.render_widget(headline(history), title);
    let queue_height = 1 + charts_tall;
    for (n, server) in history.servers.iter().enumerate() {
        let height = server_height(server, area, charts_tall);
        // The queue is what matters most: it keeps its place.
        if n > 0 && rest.height < height + queue_height + 1 {
            let hidden = history.servers.len() - n;
            let (line, below) = cut(rest, 1);
            frame.render_widget(
                format!(" {hidden} more servers: make the window taller").dim(),
                line,
            );
            rest = below;
            break;
        }
        let (here, below) = cut(rest, height);
        draw_server(frame, here, server, now);
        rest = below;
    }
    let (here, below) = cut(rest, queue_height);
    draw_queues(frame, here, &history.queues, now);
    draw_table(frame, below, &history.queues);
}

fn needed(history: &History, area: Rect, chart: u16) -> u16 {
    let servers = history.servers.iter().map(|one| server_height(one, area, chart)).sum::<u16>();
    let table = u16::try_from(history.queues.queues.len().min(5)).unwrap_or(5) + 1;
    1 + servers + 1 + chart + table
}

fn server_height(server: &ServerHistory, area: Rect, chart: u16) -> u16 {
    let rows = if area.width >= WIDE { 1 } else { 2 };
    // Without an account there is nothing to chart; until the first answer its place is kept.
    let charted = match &server.seen {
        Some(seen) => seen.info.is_some(),
        None => server.down.is_none(),
    };
    1 + if charted { rows * chart } else { 0 }
}

/// Cuts a strip from the top; less where there is less.
fn cut(area: Rect, height: u16) -> (Rect, Rect) {
    let height = height.min(area.height);
    let below = Rect { y: area.y + height, height: area.height - height, ..area };
    (Rect { height, ..area }, below)
}

fn headline(history: &History) -> Line<'static> {
    let every = history.every.as_secs_f64();
    Line::from(vec![
        " rhubarb monitor".bold(),
        format!("  every {every} s  ").into(),
        "q quits".dim(),
    ])
}

fn draw_server(frame: &mut Frame<'_>, area: Rect, server: &ServerHistory, now: Instant) {
    let (line, charts) = cut(area, 1);
    frame.render_widget(server_line(server, now), line);
    let info = server.seen.as_ref().and_then(|seen| seen.info.as_ref());
    let max = info.and_then(|info| info.memory.max).filter(|max| *max > 0);
    let max_clients = info.and_then(|info| info.clients.max);
    let overall = info.and_then(|info| info.stats.hit_rate);
    let of = |max: Option<String>| max.map(|max| format!(" of {max}")).unwrap_or_default();
    let shown = [
        Chart {
            title: "memory",
            value: value(&server.memory, |n| bytes(whole(n)) + &of(max.map(bytes))),
            series: &server.memory,
            floor: Floor::Around,
        },
        Chart {
            title: "clients",
            value: value(&server.clients, |n| grouped(whole(n)) + &of(max_clients.map(grouped))),
            series: &server.clients,
            floor: Floor::Around,
        },
        Chart {
            title: "hit rate",
            value: hit_rate(server.hit_rate.newest(), overall),
            series: &server.hit_rate,
            floor: Floor::Share,
        },
        Chart {
            title: "commands/s",
            value: value(&server.commands, |n| grouped(whole(n))),
            series: &server.commands,
            floor: Floor::Zero,
        },
    ];
    if charts.width >= WIDE {
        beside(frame, charts, &shown);
    } else {
        let (upper, lower) = cut(charts, charts.height.div_ceil(2));
        beside(frame, upper, &shown[..2]);
        beside(frame, lower, &shown[2..]);
    }
}

fn value(series: &Series, shown: impl Fn(f64) -> String) -> String {
    series.newest().map_or("-".to_owned(), shown)
}

/// The rate of the last seconds, and that since the server's start.
fn hit_rate(now: Option<f64>, overall: Option<f64>) -> String {
    match (now, overall) {
        (Some(now), Some(overall)) => format!("{} ({} in all)", percent(now), percent(overall)),
        (None, Some(overall)) => format!("- ({} in all)", percent(overall)),
        _ => "-".to_owned(),
    }
}

fn server_line(server: &ServerHistory, now: Instant) -> Line<'static> {
    let mut spans = vec![Span::from(format!(" {}", clean(&server.name))).bold()];
    if let Some((since, why)) = &server.down {
        spans.push(outage(*since, why, now));
        return Line::from(spans);
    }
    let Some(seen) = &server.seen else {
        spans.push("  connecting".dim());
        return Line::from(spans);
    };
    if let Some(info) = &seen.info {
        let version = info.version.as_deref().map(clean).unwrap_or_default();
        let up =
            info.uptime_s.map(|s| format!(", up {}", length(std::time::Duration::from_secs(s))));
        spans.push(format!("  {} {version}{}", info.software, up.unwrap_or_default()).into());
    }
    spans.extend(seen.why.as_ref().map(|why| Span::from(format!("  {}", clean(why))).yellow()));
    if let Some(keys) = seen.keys {
        let least = if seen.partly { "at least " } else { "" };
        spans.push(format!("  {least}{} keys", grouped(keys)).into());
    }
    spans.push(format!("  {}", server.roles.join(" ")).dim());
    Line::from(spans)
}

fn outage(since: Instant, why: &str, now: Instant) -> Span<'static> {
    let for_so_long = length(now.saturating_duration_since(since));
    Span::from(format!("  not reached for {for_so_long}, trying again: {}", clean(why)))
        .red()
        .bold()
}

fn beside(frame: &mut Frame<'_>, area: Rect, charts: &[Chart<'_>]) {
    let columns = Layout::horizontal(charts.iter().map(|_| Constraint::Fill(1))).split(area);
    for (chart, column) in charts.iter().zip(columns.iter()) {
        draw_chart(frame, *column, chart);
    }
}

fn draw_chart(frame: &mut Frame<'_>, area: Rect, chart: &Chart<'_>) {
    let block = Block::bordered()
        .border_set(border::ROUNDED)
        .border_style(Style::new().dim())
        .title(format!(" {} ", chart.title).not_dim());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let (number, bars) = cut(inner, 1);
    frame.render_widget(Paragraph::new(chart.value.as_str()).bold(), number);
    let points = scaled(chart.series, usize::from(bars.width), chart.floor);
    // The newest is at the right edge.
    let width = u16::try_from(points.len()).unwrap_or(bars.width).min(bars.width);
    let here = Rect { x: bars.x + bars.width - width, width, ..bars };
    let sparkline = Sparkline::default()
        .data(points)
        .max(whole(STEPS))
        .style(Style::new().fg(Color::Cyan))
        .absent_value_symbol("·")
        .absent_value_style(Style::new().dim());
    frame.render_widget(sparkline, here);
}

/// Returns the newest points in steps of a bar's height; what is unknown stays so.
fn scaled(series: &Series, width: usize, floor: Floor) -> Vec<Option<u64>> {
    let known = || series.last(width).flatten();
    let most = known().fold(0.0, f64::max);
    let least = known().fold(f64::INFINITY, f64::min);
    let (bottom, top) = match floor {
        Floor::Zero => (0.0, most),
        Floor::Share => (0.0, 1.0),
        Floor::Around => (least * 0.9, most * 1.1),
    };
    let height = if top > bottom { top - bottom } else { 1.0 };
    series.last(width).map(|point| point.map(|n| whole((n - bottom) / height * STEPS))).collect()
}

fn draw_queues(frame: &mut Frame<'_>, area: Rect, queues: &QueueHistory, now: Instant) {
    let (line, charts) = cut(area, 1);
    let mut spans = vec![" queues".bold()];
    spans.extend(queues.workers.map(|workers| {
        let text = format!("  {workers} {}", if workers == 1 { "worker" } else { "workers" });
        // Nobody of ours runs what waits; Python workers are not counted.
        let idle = workers == 0 && queues.waiting.newest().is_some_and(|waiting| waiting > 0.0);
        if idle { text.yellow() } else { text.into() }
    }));
    spans.extend(queues.down.as_ref().map(|(since, why)| outage(*since, why, now)));
    frame.render_widget(Line::from(spans), line);
    let shown = [
        Chart {
            title: "waiting tasks",
            value: value(&queues.waiting, |n| grouped(whole(n))),
            series: &queues.waiting,
            floor: Floor::Zero,
        },
        Chart {
            title: "tasks/s",
            value: value(&queues.tasks, |n| format!("{n:.1}")),
            series: &queues.tasks,
            floor: Floor::Zero,
        },
    ];
    beside(frame, charts, &shown);
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, queues: &QueueHistory) {
    if queues.queues.is_empty() {
        return;
    }
    let rows = queues.queues.iter().map(|queue| {
        let numbers = [queue.waiting, queue.claimed, queue.scheduled].map(grouped);
        let numbers = numbers.map(|number| Line::from(number).right_aligned());
        let state = match (&queue.problem, queue.paused) {
            (Some(_), _) => "broken",
            (None, true) => "paused",
            (None, false) => "",
        };
        let state = Line::from(state).yellow();
        Row::new(
            [Line::from(format!(" {}", clean(&queue.name)))]
                .into_iter()
                .chain(numbers)
                .chain([state]),
        )
    });
    let head = ["WAITING", "RUNNING", "SCHEDULED"].map(|name| Line::from(name).right_aligned());
    let head = Row::new([Line::from(" QUEUE")].into_iter().chain(head)).dim();
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(12),
        Constraint::Length(9),
        Constraint::Length(11),
        Constraint::Length(8),
    ];
    frame.render_widget(Table::new(rows, widths).header(head), area);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ratatui::{Terminal, backend::TestBackend};

    use super::{
        super::history::{
            QueueSeen, Update,
            tests::{history, queue, seen},
        },
        *,
    };

    const INFO: &str = "redis_version:7.0.15\nuptime_in_seconds:90061\nused_memory:104857600\nmaxmemory:268435456\n\
        connected_clients:12\nmaxclients:10000\nkeyspace_hits:93\nkeyspace_misses:7\ntotal_commands_processed:";

    fn screen(history: &History, now: Instant, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, history, now)).unwrap();
        let cells = terminal.backend().buffer().content();
        let lines = cells.chunks(usize::from(width.max(1)));
        let line = |line: &[ratatui::buffer::Cell]| line.iter().map(|cell| cell.symbol()).collect();
        lines.map(line).collect::<Vec<String>>().join("\n")
    }

    /// Thirty seconds of a server whose queue grows.
    fn busy(start: Instant) -> History {
        let mut history = history();
        for s in 0..30_u64 {
            let at = start + Duration::from_secs(s);
            let seen = seen(&format!("{INFO}{}\n", s * 100));
            history.take(Update::Server { number: 0, at, seen });
            let queues = vec![queue("celery", s * 10), queue("mail", 0)];
            let workers = Some(vec![("w".to_owned(), s * 7, true)]);
            history.take(Update::Queues { at, seen: Ok(QueueSeen { queues, workers }) });
        }
        history
    }

    #[tokio::test]
    async fn a_frame_shows_each_number_with_its_chart() {
        let start = Instant::now();
        let shown = screen(&busy(start), start + Duration::from_secs(29), 100, 24);
        for expect in [
            "127.0.0.1:6379  redis 7.0.15, up 1 d 1 h  5 keys  queue results cache sessions jobs",
            "100 MiB of 256 MiB",
            "12 of 10,000",
            "- (93.0 % in all)",
            "│100 ",
            "queues  1 worker ",
            "│290 ",
            "│7.0 ",
            " celery                                                           290         2           1",
            "▁",
            "█",
        ] {
            assert!(shown.contains(expect), "no `{expect}` in\n{shown}");
        }
    }

    #[tokio::test]
    async fn an_outage_is_said_with_its_length_and_the_last_numbers_stay_apart() {
        let start = Instant::now();
        let mut history = busy(start);
        let down = start + Duration::from_secs(30);
        history.take(Update::Server { number: 0, at: down, seen: Err("refused \u{1b}[2J".into()) });
        let shown = screen(&history, down + Duration::from_secs(12), 100, 24);
        assert!(shown.contains("not reached for 12 s, trying again: refused  [2J"), "{shown}");
        assert!(shown.contains("│-"), "no number is shown that is not known\n{shown}");
        assert!(shown.contains("·"), "the gap is in the chart\n{shown}");
    }

    #[tokio::test]
    async fn what_is_not_permitted_is_said_and_the_queues_are_shown() {
        let mut history = history();
        let seen = super::super::history::Seen {
            why: Some("INFO not permitted".into()),
            keys: Some(7),
            ..Default::default()
        };
        history.take(Update::Server { number: 0, at: Instant::now(), seen: Ok(seen) });
        let shown = screen(&history, Instant::now(), 100, 20);
        assert!(shown.contains("INFO not permitted  7 keys"), "{shown}");
        assert!(!shown.contains("memory") && shown.contains("waiting tasks"), "{shown}");
    }

    #[tokio::test]
    async fn a_server_that_was_never_reached_takes_one_line() {
        let (mut history, at) = (history(), Instant::now());
        history.take(Update::Server { number: 0, at, seen: Err("refused".into()) });
        let shown = screen(&history, at, 100, 20);
        assert!(shown.contains("not reached for 0 s, trying again: refused"), "{shown}");
        assert!(!shown.contains("hit rate") && shown.contains("waiting tasks"), "{shown}");
    }

    #[tokio::test]
    async fn no_size_of_window_is_too_small_or_too_large() {
        let start = Instant::now();
        let history = busy(start);
        for (width, height) in [(1, 1), (2, 40), (20, 8), (40, 12), (71, 30), (72, 10), (400, 120)]
        {
            let shown = screen(&history, start, width, height);
            assert_eq!(shown.lines().count(), usize::from(height), "{width}x{height}");
        }
        let narrow = screen(&history, start, 60, 26);
        assert!(narrow.contains("hit rate") && narrow.contains("tasks/s"), "{narrow}");
    }

    #[test]
    fn a_chart_of_nothing_is_empty() {
        assert_eq!(scaled(&Series::default(), 10, Floor::Around), []);
    }
}
