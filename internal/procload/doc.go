// Package procload reads how busy the process is: the share of its processors
// that it used, and how long its goroutines waited for one.
package procload
