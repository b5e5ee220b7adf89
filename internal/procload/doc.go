// Package procload measures how busy the process is: what share of its processors
// it used, and how long its goroutines waited for a processor.
package procload
