//! Telegram bot.
