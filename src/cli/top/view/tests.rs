use ratatui_core::layout::Rect;
use serde_json::json;

use super::*;
use crate::cli::fit;
use crate::cli::top::model::Key;
use crate::cli::top::model::tests::{condition, fleet};

fn now(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn model() -> Model {
    let mut model = Model::new("namespace shop".to_owned(), false, vec![], now(0));
    let ready = condition("Ready", "True", "Ready", "");
    for step in 0..30_i64 {
        let stalled = condition(
            "Stalled",
            "True",
            "RecordStuck",
            "payments[2] stops at 1,042: HttpStatus 500",
        );
        let pods = 1 + step / 8;
        model.heard(
            vec![
                fleet("orders", json!({
                    "lag": step * step * 40, "delay": "12s", "replicas": pods, "readyReplicas": pods, "partitions": 12, "groupId": "shop.orders",
                    "scaling": { "wanted": pods, "reasons": ["33,640 records wait, and 900 arrive a second"], "arrivalPerSecond": 900.0 },
                    "conditions": [ready],
                })),
                fleet("payments", json!({
                    "lag": 7, "delay": "4m", "replicas": 2, "readyReplicas": 2,
                    "stuck": [{ "topic": "payments", "partition": 2, "offset": 1042, "attempts": 9, "error": "HttpStatus 500" }],
                    "conditions": [ready, stalled],
                })),
                fleet("user-events", json!({})),
            ],
            now(step * 2),
        );
    }
    model
}

/// As text, without what is blank at the end of lines.
fn drawn(model: &Model, at: i64, width: u16, height: u16) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    draw(model, now(at), Paint::Colours, &mut buffer);
    text(&buffer)
}

fn text(buffer: &Buffer) -> String {
    let (width, height) = (buffer.area.width, buffer.area.height);
    let lines = (0..height).map(|y| {
        let mut line = String::new();
        let mut x = 0;
        while x < width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            // A wide one hides the cell behind it.
            x += u16::try_from(fit::width(symbol)).unwrap().max(1);
        }
        line.trim_end().to_owned() + "\n"
    });
    lines.collect()
}

#[test]
fn fleets_stand_in_a_table_with_their_past() {
    insta::assert_snapshot!(drawn(&model(), 58, 120, 9));
}

#[test]
fn a_narrow_terminal_has_fewer_columns() {
    insta::assert_snapshot!(drawn(&model(), 58, 60, 9));
}

#[test]
fn one_fleet_fills_the_page() {
    let mut model = model();
    model.press(Key::Open);
    insta::assert_snapshot!(drawn(&model, 58, 90, 20));
}

#[test]
fn a_lost_connection_is_said_and_what_was_known_stays() {
    let mut model = model();
    model.unheard("connection refused".to_owned());
    let text = drawn(&model, 78, 100, 9);
    assert!(
        text.contains("nothing new for 20s, still asking: connection refused"),
        "{text}"
    );
    assert!(text.contains("orders"), "{text}");
}

#[test]
fn that_nobody_leads_is_said_in_one_line_and_a_lost_connection_before_it() {
    let mut model = model();
    let before = drawn(&model, 58, 120, 9);
    model.vacancy = Some("what is shown may be old, since no controller leads".to_owned());
    let text = drawn(&model, 58, 120, 9);
    let differs = |line: &usize| text.lines().nth(*line) != before.lines().nth(*line);
    assert_eq!((0..9).filter(differs).collect::<Vec<_>>(), [1], "{text}");
    assert!(text.lines().nth(1).unwrap().contains("no controller leads"));
    model.unheard("connection refused".to_owned());
    let text = drawn(&model, 58, 120, 9);
    assert!(text.contains("connection refused") && !text.contains("no controller"));
}

#[test]
fn any_size_is_drawn_with_any_number_of_fleets() {
    let many = |count: usize| {
        let fleets =
            (0..count).map(|n| fleet(&format!("fleet-with-a-long-name-{n}"), json!({ "lag": n })));
        Model::new("all namespaces".to_owned(), true, fleets.collect(), now(0))
    };
    for count in [0, 1, 40] {
        for key in [Key::Other, Key::Open, Key::Help, Key::Pause] {
            let mut model = many(count);
            model.press(Key::Last);
            model.press(key);
            model.unheard("because".to_owned());
            for width in (0..=130).step_by(3) {
                for height in 0..=12 {
                    drawn(&model, 1, width, height);
                }
            }
        }
    }
}

#[test]
fn the_cursor_is_in_sight_wherever_it_is() {
    let fleets = (0..40).map(|n| fleet(&format!("fleet-{n:02}"), json!({})));
    let mut model = Model::new("namespace shop".to_owned(), false, fleets.collect(), now(0));
    model.press(Key::Last);
    let text = drawn(&model, 1, 80, 8);
    assert!(
        text.contains("fleet-39") && !text.contains("fleet-01"),
        "{text}"
    );
    model.press(Key::First);
    assert!(drawn(&model, 1, 80, 8).contains("fleet-00"));
}

#[test]
fn without_colours_nothing_has_one() {
    let area = Rect::new(0, 0, 120, 9);
    let mut buffer = Buffer::empty(area);
    draw(&model(), now(58), Paint::Plain, &mut buffer);
    let coloured =
        |cell: &ratatui_core::buffer::Cell| cell.fg != Color::Reset || cell.bg != Color::Reset;
    assert!(!buffer.content.iter().any(coloured));
}

#[test]
fn whatever_a_message_is_made_of_the_terminal_obeys_none_of_it() {
    let message = "a\u{1b}[31mred\u{7}\r\nb\u{202e}dlrow\u{200f}\t注文 in trouble\u{9b}2J";
    let mut model = model();
    let stuck = json!([{
        "topic": "payments", "partition": 2, "offset": 1, "attempts": 1, "error": message,
    }]);
    let stalled = condition("Stalled", "True", "RecordStuck", message);
    let status = json!({ "delay": message, "groupId": message, "stuck": stuck, "conditions": [stalled],
        "scaling": { "reasons": [message] } });
    model.heard(vec![fleet("payments", status)], now(60));
    model.unheard(message.to_owned());
    model.notice = Some(message.to_owned());
    for key in [Key::Other, Key::Open] {
        model.press(key);
        model.notice = Some(message.to_owned());
        for width in [20, 40, 120] {
            let text = drawn(&model, 60, width, 30);
            let bad = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{200f}".contains(c);
            assert!(!text.contains(bad), "{text:?}");
        }
        assert!(drawn(&model, 60, 120, 30).contains("注文"));
    }
}

#[test]
fn a_page_that_is_moved_ends_with_the_last_line() {
    let mut model = model();
    model.press(Key::Open);
    let (mut buffer, mut texts) = (Buffer::empty(Rect::new(0, 0, 60, 10)), Vec::new());
    let last = draw(&model, now(58), Paint::Plain, &mut buffer);
    assert!(last > 0, "there is more than fits");
    for scroll in [0, last, usize::MAX] {
        model.scroll = scroll;
        texts.push(drawn(&model, 58, 60, 10));
    }
    assert!(!texts[0].contains("1042"), "{}", texts[0]);
    assert!(texts[1].contains("1042"), "{}", texts[1]);
    assert_eq!(texts[1], texts[2]);
    assert_eq!(
        draw(
            &model,
            now(58),
            Paint::Plain,
            &mut Buffer::empty(Rect::new(0, 0, 120, 50))
        ),
        0
    );
}

#[test]
fn the_keys_are_explained() {
    let mut model = model();
    model.press(Key::Help);
    insta::assert_snapshot!(drawn(&model, 58, 90, 20));
}

#[test]
fn at_forty_columns_the_question_and_what_matters_are_there() {
    let mut model = model();
    model.press(Key::Pause);
    let text = drawn(&model, 58, 40, 8);
    assert!(text.contains("y pauses payments"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn of_many_namespaces_each_is_named() {
    let fleets = vec![fleet("orders", json!({}))];
    let model = Model::new("all namespaces".to_owned(), true, fleets, now(0));
    assert!(drawn(&model, 1, 80, 8).contains("shop/orders"));
}

#[test]
fn where_there_is_none_it_is_said_where() {
    let of = |place: &str, everywhere| {
        let model = Model::new(place.to_owned(), everywhere, vec![], now(0));
        drawn(&model, 1, 80, 8)
    };
    let one = of("namespace shop", false);
    assert!(
        one.contains("No KafkaConsumers in namespace shop; -A shows all namespaces."),
        "{one}"
    );
    let all = of("all namespaces", true);
    assert!(
        all.contains("No KafkaConsumers in all namespaces."),
        "{all}"
    );
}
