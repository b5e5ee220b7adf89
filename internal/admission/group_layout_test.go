package admission_test

import (
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/admission"
)

// The group's counter is what every call writes. Beside something else that is hot, on one
// cache line, two processors would wait for one another without need.
func TestTheGroupsCounterSharesItsCacheLineWithNoOtherObject(t *testing.T) {
	t.Parallel()
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the size is that of 64-bit platforms")
	}
	for range 100 {
		require.Zero(t, uintptr(unsafe.Pointer(admission.NewGroup(1)))%64)
	}
}

// A class's counter, and the two of its base, are what every call of it writes.
func TestTheCountersOfAClassStandOnOneCacheLine(t *testing.T) {
	t.Parallel()
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the size is that of 64-bit platforms")
	}
	g := admission.NewGroup(1)
	for range 100 {
		c := g.NewClass(1, 1)
		first, last := uintptr(unsafe.Pointer(c))/64, uintptr(unsafe.Pointer(&c.Base().Settled))/64
		require.Equal(t, first, last)
		runtime.KeepAlive(c)
	}
}
