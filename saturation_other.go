//go:build !unix && !windows

package faas

import "time"

// processTime is not known here: the standard library has no call for it.
func processTime() time.Duration { return 0 }
