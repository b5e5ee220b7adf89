package admission_test

import (
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/admission"
)

// Every call writes the group's counter. If other data that is written often shared its cache
// line, processors would wait for each other needlessly.
func TestTheGroupsCounterSharesItsCacheLineWithNoOtherObject(t *testing.T) {
	t.Parallel()
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the size is that of 64-bit platforms")
	}
	for range 100 {
		require.Zero(t, uintptr(unsafe.Pointer(admission.NewGroup(1)))%64)
	}
}

func TestTheCellOfAKeeperIsOnACacheLineOfItsOwn(t *testing.T) {
	t.Parallel()
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the size is that of 64-bit platforms")
	}
	c := admission.NewGroup(1).NewClass(1, 1)
	for range 100 {
		var k admission.Keeper
		k.Adopt(c.Base())
		at, size := k.Cell()
		require.Zero(t, at%64)
		require.Zero(t, size%64)
		k.Drop()
	}
	require.Zero(t, uintptr(unsafe.Pointer(c))%64)
}

// Every call of a class writes the counter of the class and the two counters of its base
// version.
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
