// Package faascron starts functions by the clock:
//
//	faas.Register(r, "report", func(ctx context.Context, tick faascron.Tick) (struct{}, error) { … })
//	timer, err := faascron.Every(r, "report", "0 6 * * *", faascron.In("Europe/Berlin"))
//
// # Expressions
//
// An expression has the five fields minute, hour, day of month, month and day of week; with a field
// for seconds before them, and one for years after them, seven. Names of months and
// days, ranges, steps and lists are those of cron; L, W and # are allowed in the fields of days. If both fields of
// days are restricted, a day has to match one of them, as in crontab(5). @hourly, @daily, @weekly, @monthly and
// @yearly stand for expressions. "@every 90s" is each multiple of 90 seconds since 1970, UTC: so all processes
// agree on it. An expression that never fires, such as "0 0 30 2 *", is an error.
//
// # Daylight saving and clocks
//
// The rule is that of Debian's cron (cron(8), "special considerations"). An entry whose hour
// and minute are fixed runs once per day of the wall's calendar: at the first occurrence of its time if the clock shows that twice,
// and at the end of the gap if the clock leaves it out; times of one entry in one gap make one
// firing. A gap of more than three hours, such as the day that Apia left out in 2011, is a new time and no gap:
// what is in it does not run. An entry with * in the hour, the minute or the second goes by elapsed time: it runs whenever the
// clock shows a time that matches. [EventBridge] is another rule.
//
// If the clock is set back by up to three hours, nothing is repeated: the timer waits until the clock has
// passed the time that it has shown before. After a larger step the new time holds at once. If the clock is set forward, or the machine was
// suspended, what was missed is treated as [CatchUp] says; an entry with a fixed time, though, that was missed by no
// more than three hours runs at once.
//
// # Many processes
//
// Each process of a service may have the same timers. A firing's job ID is made of the timer's name and the
// scheduled time ([source.JobID]), so that a queue that they share accepts it once.
package faascron
