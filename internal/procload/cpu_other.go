//go:build !unix && !windows

package procload

import "time"

// processTime returns 0: the standard library has no call for it on this system.
func processTime() time.Duration { return 0 }
