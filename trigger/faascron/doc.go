// Package faascron starts functions by the clock:
//
//	faas.Register(r, "report", func(ctx context.Context, tick faascron.Tick) (struct{}, error) { … })
//	timer, err := faascron.Every(r, "report", "0 6 * * *", faascron.In("Europe/Berlin"))
//
// # Expressions
//
// An expression has five fields: minute, hour, day of month, month and day of week. A field for
// seconds may stand before them, and a field for years after them. Of six fields, the first is
// seconds, unless the last has a year of four digits. Names of months and days, ranges, steps and
// lists are those of cron. The fields of days may have L, W and #. If both fields of days are
// restricted, it is enough that a day matches one of them, as in crontab(5). @hourly, @daily,
// @weekly, @monthly and @yearly stand for expressions. "@every 90s" is each multiple of 90 seconds
// since 1970, UTC, so that all processes agree on the times. An expression that never fires, such
// as "0 0 30 2 *", is an error.
//
// # Daylight saving and clocks
//
// The rule is that of Debian's cron (cron(8), "special considerations"). An entry with a fixed
// hour and minute runs once on each day of the zone's calendar. If the clock shows its time
// twice, the entry runs the first time. If the clock skips its time, the entry runs at the end
// of the gap, once for all its times in the gap. A gap of more than three hours, such as the
// day that Apia skipped in 2011, is a new time and not a gap: entries in it do not run. An
// entry with * in the hour, the minute or the second goes by elapsed time: it runs whenever the
// clock shows a time that matches. [EventBridge] selects another rule.
//
// If the clock is set back by up to three hours, nothing is repeated: the timer waits until the
// clock has passed the latest time that it had shown. After a larger step back the timer goes
// by the new time at once. If the clock is set forward, or the machine was suspended, [CatchUp]
// says what happens to the times that were missed. There is one exception: an entry with a
// fixed time that is late by no more than three hours runs at once, whatever CatchUp says.
//
// # Many processes
//
// Each process of a service may have the same timers. The job ID of a firing is made from the
// timer's name and the scheduled time ([source.JobID]). So a queue that the processes share
// accepts each firing once.
package faascron
