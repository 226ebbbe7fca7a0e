//! Russian.

use super::Text;

pub(super) const fn text(text: Text) -> &'static str {
    match text {
        Text::Welcome => {
            "Этот бот сообщает курсы: откуда каждый взят, сколько ему времени и можно ли им пользоваться.\n\n"
        }
        Text::Help => {
            "/rate BTC RUB - один курс (можно <code>BTC-RUB</code>, <code>btcrub</code>)\n/rates - основные курсы\n/subscribe BTC-USD 1% - сообщить, когда курс сдвинется на 1 %\n/subscribe BTC-USD &gt; 65000 - сообщить, когда курс будет выше\n/alerts - за чем здесь следят\n/unsubscribe - больше не следить\n/history BTC-USD 24h - график (1h, 24h, 7d)\n/language - английский или русский"
        }
        Text::AskPair => "Какая пара? Например, <code>/rate BTC RUB</code>",
        Text::UnknownCommand => "Такой команды нет. Все команды: /help",
        Text::NotUnderstood => "Напишите пару, например <code>BTC RUB</code>. Все команды: /help",
        Text::WrongPair => {
            "<code>{pair}</code> - не пара. Пишите <code>BTC-USD</code> или <code>BTC USD</code>."
        }
        Text::WrongWish => {
            "За чем следить? Например, <code>/subscribe BTC-USD 1%</code> или <code>/subscribe BTC-USD &gt; 65000</code>. Тысячи запятой не отделяются."
        }
        Text::WrongSpan => {
            "График бывает за <code>1h</code>, <code>24h</code> или <code>7d</code>."
        }
        Text::WrongLanguage => "Этот бот говорит на <code>en</code> и <code>ru</code>.",
        Text::NotAllowed => {
            "Извините, этот бот работает только в некоторых чатах, и этот не из их числа. Владелец бота может добавить чат <code>{chat}</code>."
        }
        Text::RatesHead => "<b>Курсы</b>",
        Text::RatesNone => "Курсы не настроены. Спросите один: <code>/rate BTC RUB</code>",
        Text::Rate => "<b>{pair}</b>  <b>{value}</b>",
        Text::RateSource => "{source}, {age}, {state}",
        Text::RatePath => "через {path}",
        Text::Stale => {
            "\u{26a0}\u{fe0f} <b>УСТАРЕЛ: это последнее известное значение. Не пользуйтесь им.</b>"
        }
        Text::Suspect => "\u{26a0}\u{fe0f} <b>СОМНИТЕЛЕН: другие источники ему противоречат.</b>",
        Text::Halted => {
            "\u{26d4} <b>ОСТАНОВЛЕН: его больше не даёт ни один источник. Не пользуйтесь им.</b>"
        }
        Text::Depeg => "\u{26a0}\u{fe0f} {asset} по пути не стоит своего доллара: {value}",
        Text::Simulated => "<b>УЧЕБНАЯ ЦЕНА: она выдумана.</b>",
        Text::UnknownAsset => "<b>{asset}</b> не знает ни один источник.",
        Text::NoPath => "Нет рынков, которые ведут по паре {pair}.",
        Text::NoRateYet => "Курса <b>{pair}</b> ещё нет. Попробуйте чуть позже.",
        Text::NoRate => "Курса <b>{pair}</b> нет: {why}",
        Text::RatesMissing => "<b>{pair}</b>  нет курса",
        Text::AgeSeconds => "{n} с назад",
        Text::AgeMinutes => "{n} мин назад",
        Text::AgeHours => "{n} ч назад",
        Text::StateFresh => "свежий",
        Text::StateStale => "УСТАРЕЛ",
        Text::StateSuspect => "СОМНИТЕЛЕН",
        Text::StateHalted => "ОСТАНОВЛЕН",
        Text::AskWish => {
            "На сколько должен сдвинуться <b>{pair}</b>? Для значения: <code>/subscribe {pair} &gt; 65000</code>"
        }
        Text::Watching => "Слежу: {condition}",
        Text::TooMany => "Здесь слишком много уведомлений. Посмотреть и убрать: /alerts",
        Text::WishRefused => "За этим следить нельзя: {why}",
        Text::ConditionAbove => "{pair} выше {value}",
        Text::ConditionBelow => "{pair} ниже {value}",
        Text::ConditionPercent => "{pair} сдвинулся на {percent} %",
        Text::ConditionWindow => "{pair} сдвинулся на {percent} % за {n} с",
        Text::ConditionLoss => "источник {source} потерян на {n} с",
        Text::ConditionFreeze => "{pair} стоит {n} с",
        Text::ConditionDepeg => "{asset} отошёл от своего доллара на {percent} %",
        Text::AlertsHead => "<b>За чем здесь следят</b>",
        Text::AlertsNone => {
            "Здесь ни за чем не следят. Например, <code>/subscribe BTC-USD 1%</code>"
        }
        Text::AlertPaused => "приостановлено",
        Text::AskRemove => "<b>Что убрать?</b> Или <code>/unsubscribe all</code>",
        Text::Removed => "Убрано: {condition}",
        Text::RemovedCount => "Убрано: {n}",
        Text::NoSuchAlert => "Такого уведомления здесь нет.",
        Text::Resumed => "Снова слежу: {condition}",
        Text::FiredAbove => "\u{1f514} <b>{pair} выше {limit}</b>: {value}",
        Text::FiredBelow => "\u{1f514} <b>{pair} ниже {limit}</b>: {value}",
        Text::FiredPercent => {
            "\u{1f514} <b>{pair} сдвинулся на {change} %</b>: {value}, было {from}"
        }
        Text::FiredLoss => "\u{1f514} <b>Источник {source}: {state}</b> с {since}",
        Text::FiredFreeze => "\u{1f514} <b>{pair} стоит</b> с {since}",
        Text::FiredDepeg => {
            "\u{1f514} <b>{asset} отошёл от своего доллара на {change} %</b>: {value}"
        }
        Text::FiredNow => "{source}, {state}, время {at}",
        Text::FiredTest => "Проверка уведомления: {condition}",
        Text::Chart => {
            "<b>{pair}</b>, {span}\nпервое {open}, последнее {close} ({change} %)\nнаибольшее {high}, наименьшее {low}"
        }
        Text::ChartNone => "Истории <b>{pair}</b> за {span} нет.",
        Text::AskLanguage => "Language / Язык",
        Text::LanguageSet => "Говорю по-русски.",
        Text::Trouble => "Сейчас это не получается. Попробуйте через минуту.",
        Text::PressDone => "Готово",
        Text::PressOld => "Эта кнопка слишком старая.",
        Text::ButtonRefresh => "Обновить",
        Text::ButtonWatch => "Следить",
        Text::ButtonChart => "График",
        Text::ButtonRemove => "Убрать",
        Text::ButtonResume => "Продолжить",
        Text::ButtonAlerts => "Уведомления",
        Text::AboutRate => "Один курс: BTC RUB",
        Text::AboutRates => "Основные курсы",
        Text::AboutSubscribe => "Следить: BTC-USD 1% или BTC-USD > 65000",
        Text::AboutAlerts => "За чем здесь следят",
        Text::AboutUnsubscribe => "Больше не следить",
        Text::AboutHistory => "График: BTC-USD 24h",
        Text::AboutLanguage => "Английский или русский",
        Text::AboutHelp => "Все команды",
    }
}
