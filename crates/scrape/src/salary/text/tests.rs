use super::*;

type Numbers = (Option<f64>, Option<f64>, Option<&'static str>, Option<&'static str>);

#[track_caller]
fn check_at(tag: &str, input: &str, expect: Numbers) {
    let salary = Salary::of_text(input, &Locale::of_tag(tag)).unwrap();
    let got = (salary.min, salary.max, salary.currency.as_deref(), salary.period);
    assert_eq!(got, expect, "{input:?} {:?}", tokens(&fold::plain(input)));
    assert_eq!(salary.display.as_deref(), Some(crate::text::line(input).as_str()));
}

#[track_caller]
fn check(input: &str, expect: Numbers) {
    check_at("", input, expect);
}

fn range(min: f64, max: f64, currency: &'static str, period: &'static str) -> Numbers {
    (Some(min), Some(max), Some(currency), Some(period))
}

fn least(min: f64, currency: &'static str, period: &'static str) -> Numbers {
    (Some(min), None, Some(currency), Some(period))
}

fn most(max: f64, currency: &'static str, period: &'static str) -> Numbers {
    (None, Some(max), Some(currency), Some(period))
}

const NONE: Numbers = (None, None, None, None);

#[test]
fn a_salary_is_read_from_text() {
    check("$120K – $150K", range(120e3, 150e3, "USD", "year"));
    check("CA$120K – CA$150K • Offers Equity", range(120e3, 150e3, "CAD", "year"));
    check("60 - 75 USD/hour", range(60.0, 75.0, "USD", "hour"));
    check("€50.000-70.000 p.a.", range(50e3, 70e3, "EUR", "year"));
    check("€50k–60k", range(50e3, 60e3, "EUR", "year"));
    check("50-70k EUR", range(50e3, 70e3, "EUR", "year"));
    check("£45,000 to £55,000 per annum", range(45e3, 55e3, "GBP", "year"));
    check("₹12-18 LPA", range(12e5, 18e5, "INR", "year"));
    check("₹12,00,000 - ₹15,00,000 a year", range(12e5, 15e5, "INR", "year"));
    check("10 lakh INR", least(10e5, "INR", "year"));
    check("42 000 &zwj;–&zwj; 45 000 Kč", (Some(42e3), Some(45e3), Some("CZK"), None));
    check("$18.50 an hour", least(18.5, "USD", "hour"));
    check("Up to $100,000", most(100e3, "USD", "year"));
    check("150K - 120K USD", range(120e3, 150e3, "USD", "year"));
    check("4.000,50 € monatlich", least(4000.5, "EUR", "month"));
    check("competitive", NONE);
    check("$9,999,999,999 per hour", NONE);
    assert_eq!(Salary::from_text("  "), None);
}

#[test]
fn units_and_words_may_stand_between_the_ends() {
    check("$140K/yr - $170K/yr", range(140e3, 170e3, "USD", "year"));
    check("$50k - 60k", range(50e3, 60e3, "USD", "year"));
    check("Between $85,000 and $95,000 a year", range(85e3, 95e3, "USD", "year"));
    check("zwischen 50.000 und 60.000 € brutto", range(50e3, 60e3, "EUR", "year"));
    check("entre 30 000 € et 35 000 € par an", range(30e3, 35e3, "EUR", "year"));
    check("entre 1.800 y 2.000 euros al mes", range(1800.0, 2000.0, "EUR", "month"));
    check("50 000 – 60 000 zł", (Some(50e3), Some(60e3), Some("PLN"), None));
    check("od 8 000 do 12 000 zł brutto / mies.", range(8e3, 12e3, "PLN", "month"));
    check("od 40 000 Kč do 60 000 Kč měsíčně", range(40e3, 60e3, "CZK", "month"));
    check("€3.500,00 bis 4.200,00 pro Monat", range(3500.0, 4200.0, "EUR", "month"));
    check("De 35 000 à 42 000 € par an", range(35e3, 42e3, "EUR", "year"));
    check("$25 per hour to $30 per hour", range(25.0, 30.0, "USD", "hour"));
    check("from $50k up to $60k", range(50e3, 60e3, "USD", "year"));
    check("CHF 5'000.- bis 6'000.- pro Monat", range(5e3, 6e3, "CHF", "month"));
    check("50-60k€", range(50e3, 60e3, "EUR", "year"));
    check("45-50 k€ brut annuel", range(45e3, 50e3, "EUR", "year"));
}

#[test]
fn a_word_says_which_end_a_lone_amount_is() {
    check("From $20 an hour", least(20.0, "USD", "hour"));
    check("ab 3.000 € brutto im Monat", least(3e3, "EUR", "month"));
    check("bis zu 70.000 € im Jahr", most(70e3, "EUR", "year"));
    check("bis 70.000 €", most(70e3, "EUR", "year"));
    check("do 15 000 zł miesięcznie", most(15e3, "PLN", "month"));
    check("jusqu'à 45 000 € par an", most(45e3, "EUR", "year"));
    check("hasta 30.000 € anuales", most(30e3, "EUR", "year"));
    check("max. 60 000 EUR", most(60e3, "EUR", "year"));
    check("$0 - $100,000", most(100e3, "USD", "year"));
    check("$50k+", least(50e3, "USD", "year"));
}

#[test]
fn other_numbers_are_never_taken_for_pay() {
    check("$90,000 and 401k", least(90e3, "USD", "year"));
    check("401(k) match, $70,000 - $80,000", range(70e3, 80e3, "USD", "year"));
    check("401k, $70,000", least(70e3, "USD", "year"));
    check("£40,000 (37.5 hours a week)", least(40e3, "GBP", "year"));
    check("$45/hour, 40 hours per week", least(45.0, "USD", "hour"));
    check("40h/Woche, 3.000 € im Monat", least(3e3, "EUR", "month"));
    check("3+ years of experience, $120,000", least(120e3, "USD", "year"));
    check("$100,000 plus 10% bonus", least(100e3, "USD", "year"));
    check("$5,000 signing bonus, $80,000 - $90,000", range(80e3, 90e3, "USD", "year"));
    check("Sign-on bonus: $5,000", NONE);
    check("€2.500 x 14 pagas", (Some(2500.0), None, Some("EUR"), None));
    check("€3.000 per month, 13th salary", least(3e3, "EUR", "month"));
    check("25 days annual leave, £30,000", least(30e3, "GBP", "year"));
    check("Job ID 123456", NONE);
    check("Grade 7", NONE);
    check("TVöD E13", NONE);
    check("EG 9", NONE);
    check("2026", NONE);
    check("posted 5.11.2026", NONE);
    check("12 months", NONE);
}

#[test]
fn periods_are_named_in_the_languages_of_job_pages() {
    check("€19,19 brutto/Std.", least(19.19, "EUR", "hour"));
    check("5 000 PLN miesięcznie", least(5e3, "PLN", "month"));
    check("35 000 Kč / měsíc", least(35e3, "CZK", "month"));
    check("€ 3.930,00 brutto pro Monat", least(3930.0, "EUR", "month"));
    check("$100,000.00 / Annually", least(100e3, "USD", "year"));
    check("$500 a day", least(500.0, "USD", "day"));
    check("TJM 450 €", least(450.0, "EUR", "day"));
    check("11,88 € de l'heure", least(11.88, "EUR", "hour"));
    check("2.000 € mensuales", least(2e3, "EUR", "month"));
    check("Stundenlohn 15 €", least(15.0, "EUR", "hour"));
    check("30,50 zł/h", least(30.5, "PLN", "hour"));
    check("180 Kč/hod", least(180.0, "CZK", "hour"));
    check("€ 3.000 per maand", least(3e3, "EUR", "month"));
    check("30.000 € lordi annui", least(30e3, "EUR", "year"));
    check("$2,000 biweekly", least(52e3, "USD", "year"));
    check("$2,000 every two weeks", least(52e3, "USD", "year"));
    check("$1,5k - $2k per month", range(1500.0, 2e3, "USD", "month"));
    check("月給25万円", least(25e4, "JPY", "month"));
    check("年収400万円～600万円", range(4e6, 6e6, "JPY", "year"));
}

#[test]
fn currencies_go_by_sign_and_by_place() {
    check("Rp 5.000.000 - Rp 8.000.000 per month", range(5e6, 8e6, "IDR", "month"));
    check("CHF 60'000 - 80'000", range(60e3, 80e3, "CHF", "year"));
    check("Rs. 25,000 to Rs. 30,000", (Some(25e3), Some(30e3), Some("INR"), None));
    check("$80,000 - $90,000 CAD", range(80e3, 90e3, "CAD", "year"));
    check("AUD $80,000", least(80e3, "AUD", "year"));
    check("R$ 5.000 por mês", least(5e3, "BRL", "month"));
    check("R25 000 per month", least(25e3, "ZAR", "month"));
    check("HK$20,000 monthly", least(20e3, "HKD", "month"));
    check("RM 3,000 - RM 4,000 monthly", range(3e3, 4e3, "MYR", "month"));
    check_at("sv-SE", "35 000 kr/mån", least(35e3, "SEK", "month"));
    check_at("nb", "250 kr per time", least(250.0, "NOK", "hour"));
    check_at("da", "30.000 kr. pr. måned", least(30e3, "DKK", "month"));
    check("35 000 kr per month", (Some(35e3), None, None, Some("month")));
    check_at("en-CA", "$80,000", least(80e3, "CAD", "year"));
    check_at("en-AU", "$80,000 a year", least(80e3, "AUD", "year"));
    check_at("zh-CN", "¥20,000 / 月", least(20e3, "CNY", "month"));
    check("USD 100k - 120k / EUR 90k - 110k", range(100e3, 120e3, "USD", "year"));
}

#[test]
fn more_forms_of_public_boards_are_read() {
    check("USD 45 – 55 per hour", range(45.0, 55.0, "USD", "hour"));
    check("$45.50/hr", least(45.5, "USD", "hour"));
    check("Salary: £28,000 - £32,000 per year, 28 days holiday", range(28e3, 32e3, "GBP", "year"));
    check("Gehalt: 52.000 – 58.000 EUR / Jahr", range(52e3, 58e3, "EUR", "year"));
    check("Gehalt ab 2.900 € brutto monatlich (38,5 Std./Woche)", least(2900.0, "EUR", "month"));
    check("42-48K€ selon profil", range(42e3, 48e3, "EUR", "year"));
    check("3 200 zł netto/mies. (B2B)", least(3200.0, "PLN", "month"));
    check("120-150 zł/h netto + VAT", range(120.0, 150.0, "PLN", "hour"));
    check("30 000 – 45 000 Kč/měsíc", range(30e3, 45e3, "CZK", "month"));
    check("25 tis. Kč", (Some(25e3), None, Some("CZK"), None));
    check("15 tys. zł miesięcznie", least(15e3, "PLN", "month"));
    check("$15.00-$17.50 Hourly", range(15.0, 17.5, "USD", "hour"));
    check("$1,250/week", least(1250.0, "USD", "week"));
    check("$60000.00 - $65000.00 Salary/year", range(60e3, 65e3, "USD", "year"));
    check("The base pay range is $98,500—$121,000 annually", range(98_500.0, 121e3, "USD", "year"));
    check("US$ 70k-90k", range(70e3, 90e3, "USD", "year"));
    check("A$130,000 + super", least(130e3, "AUD", "year"));
    check("£300 per day (inside IR35), 6 months", least(300.0, "GBP", "day"));
    check("Rate: £45 p/h", least(45.0, "GBP", "hour"));
    check("£1,800 pcm", least(1800.0, "GBP", "month"));
    check("INR 8,00,000 - 12,00,000 P.A.", range(8e5, 12e5, "INR", "year"));
    check("₹5 LPA", least(5e5, "INR", "year"));
    check("€ 2.500,- per maand", least(2500.0, "EUR", "month"));
    check("450 000–550 000 Ft / hó", (Some(450e3), Some(550e3), Some("HUF"), None));
    check("$100K-$150K, 0.1% - 0.5% equity", range(100e3, 150e3, "USD", "year"));
    check("Competitive salary (DOE)", NONE);
    check("Mindestlohn", NONE);
    check("Up to 20% bonus", NONE);
    check("5 days a week", NONE);
    check("Full time, 40 hours", NONE);
    check("20-25 hours per week", NONE);
    check("2 positions", NONE);
    check("40-50.000 € im Jahr", range(40e3, 50e3, "EUR", "year"));
    check("$100-120,000", range(100e3, 120e3, "USD", "year"));
    check("£12.21ph", least(12.21, "GBP", "hour"));
    check("£25,000pa", least(25e3, "GBP", "year"));
    check("From 18 to 22 € per hour", range(18.0, 22.0, "EUR", "hour"));
    check("2.400 € mtl.", least(2400.0, "EUR", "month"));
    check("Tel. 030 1234567", NONE);
}

#[test]
fn what_a_label_says_is_no_pay_is_none() {
    check("Expected hours: 40 per week. Pay: $20", (Some(20.0), None, Some("USD"), None));
    check("Expected hours: 40 per week", NONE);
    check("Expected hours: No less than 32 per week", NONE);
    check("Hours per week: 38", NONE);
    check("Pay: $20. Expected hours: 40 per week", (Some(20.0), None, Some("USD"), None));
    check(
        "Pay: $20.00 - $25.00 per hour Expected hours: 30 - 40 per week",
        range(20.0, 25.0, "USD", "hour"),
    );
    check(
        "Expected hours: 30 – 40 per week; Pay: From $18.50 per hour",
        least(18.5, "USD", "hour"),
    );
    check("Wochenstunden: 40 Gehalt: 3.000 € pro Monat", least(3e3, "EUR", "month"));
    check("Arbeitszeit: 39 pro Woche, Gehalt: 2.800 €", (Some(2800.0), None, Some("EUR"), None));
    check("Urlaub: 30 pro Jahr", NONE);
    check("Experience: 5 - 7. Salary: 60,000 USD", least(60e3, "USD", "year"));
    check("Team size: 1,500", NONE);
    check("Employees: 10,000 - 50,000", NONE);
    check("Founded: 1998 Salary: €55,000", least(55e3, "EUR", "year"));
    check("Tel: 5551234", NONE);
    check("Funding: $20M", NONE);
    check("Revenue: €5,000,000. Salary: €70,000 per year", least(70e3, "EUR", "year"));
    check("Horas: 40 por semana; Salario: 1.500 € al mes", least(1500.0, "EUR", "month"));
    check("Heures : 35 par semaine. Salaire : 2 000 € par mois", least(2e3, "EUR", "month"));
    check("Pay: 20 per hour", (Some(20.0), None, None, Some("hour")));
}

#[test]
fn counts_of_people_days_and_places_are_no_pay() {
    for text in [
        "1,500 employees",
        "a team of 1,200 engineers",
        "12,000+ employees worldwide",
        "over 10,000 customers",
        "5,000 users",
        "2.500 Mitarbeiter",
        "3 000 salariés",
        "1.200 empleados",
        "30 days of holiday",
        "28 days annual leave",
        "30 Urlaubstage",
        "30 Tage Urlaub",
        "25 days PTO",
        "5-7 years of experience",
        "10+ years",
        "9-5",
        "9am-5pm",
        "08:00 - 17:00",
        "8 - 16 Uhr",
        "80-100%",
        "80 – 100 %",
        "100% remote",
        "0.8 FTE",
        "2024 - 2026",
        "2025/2026",
        "+49 30 1234567",
        "555-123-4567",
        "(555) 123-4567",
        "call 030 / 123 45 67",
        "401(k) with 4% match",
        "401k",
        "35-40 hours",
        "40h",
        "38.5 h/Woche",
        "Ref. 12345",
        "#12345",
        "3 km from Berlin",
        "1,000 sq ft",
        "24/7",
        "360",
        "4-day week",
        "50 - 60",
        "Monday to Friday 9 to 5",
        "6 month contract",
        "2 x 6 months",
    ] {
        check(text, NONE);
    }
}

#[test]
fn money_that_is_not_the_jobs_is_no_pay() {
    for text in [
        "raised $20M",
        "we have raised $20 million in funding",
        "$50M Series B",
        "Series A ($12M)",
        "$1.2B valuation",
        "$10M ARR",
        "€5 million in revenue",
        "Umsatz 20 Mio. €",
        "backed by $30M from investors",
        "$500 learning budget",
        "$1,000 referral bonus",
        "$2,000 annual education stipend",
        "€50 monthly gym allowance",
        "up to $5,250 tuition reimbursement",
        "401(k) up to $5,000 match",
        "$100 gift card",
        "$250k in equity",
        "manage a $5M portfolio",
        "$3 billion in assets",
        "a budget of $200,000",
    ] {
        check(text, NONE);
    }
    check("Series B ($50M raised) | $120k - $150k", range(120e3, 150e3, "USD", "year"));
    check("$120k - $150k, $20M funding", range(120e3, 150e3, "USD", "year"));
    check("£60,000 plus £1,000 training budget", least(60e3, "GBP", "year"));
    check("1,500 employees, €70,000", least(70e3, "EUR", "year"));
    check("$20/hr, team of 50", least(20.0, "USD", "hour"));
    check("call 555-123-4567, $18 per hour", least(18.0, "USD", "hour"));
    check("80-100%, CHF 90'000", least(90e3, "CHF", "year"));
}

#[test]
fn a_postal_code_is_no_pay() {
    for text in [
        "10115 Berlin",
        "SW1A 1AA",
        "London SW1A 1AA",
        "75000 Paris",
        "EC1A 1BB",
        "00-950 Warszawa",
        "111 22 Stockholm",
        "560 001 Bengaluru",
        "Springfield, IL 62704",
        "K1A 0B1 Ottawa",
        "1012 AB Amsterdam",
        "〒100-0001 東京都千代田区",
    ] {
        check(text, NONE);
    }
    check("10115 Berlin, 50000 EUR", (Some(50e3), None, Some("EUR"), Some("year")));
    check("Jahresgehalt 50000", (Some(50e3), None, None, Some("year")));
    check("50000, Berlin", (Some(50e3), None, None, None));
}
