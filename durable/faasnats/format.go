package faasnats

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// format is the version of the stream's content. It is stored in the stream's metadata:
//
//	0  no version is stored; the records are those of version 1
//	1  records alone
//	2  large payloads and outputs are in an object store beside the stream
//
// A release brings a stream of an older format to its own when it opens it, and refuses a
// stream of a later format. An older process that has the stream open does not notice the
// change: stop such processes before the upgrade.
const format = 2

const formatKey = "faas-format"

// upgrade brings a stream from one format to the next. It may be repeated, since a process may
// die before migrate has written the new format.
func upgrade(ctx context.Context, js jetstream.JetStream, s *settings, from int) (err error) {
	switch from {
	case 0: // version 1 has the same records
	case 1:
		_, err = openObjects(ctx, js, s)
	}
	return err
}

// formatOf returns the format of a stream, or an error if this release can't read that format.
func formatOf(c *jetstream.StreamConfig) (int, error) {
	text := c.Metadata[formatKey]
	if text == "" {
		return 0, nil
	}
	has, err := strconv.Atoi(text)
	if err != nil || has < 0 || has > format {
		return 0, fmt.Errorf("faasnats: the stream %s has the format %q, and this release reads up to %d: open it with a later release", c.Name, text, format)
	}
	return has, nil
}

// migrate brings a stream to the format of this release, step by step.
func migrate(ctx context.Context, js jetstream.JetStream, c jetstream.StreamConfig, s *settings) error {
	has, err := formatOf(&c)
	if err != nil || has == format {
		return err
	}
	for from := has; from < format; from++ {
		if err := upgrade(ctx, js, s, from); err != nil {
			return fmt.Errorf("faasnats: bring the stream %s from format %d to %d: %w", c.Name, from, from+1, err)
		}
	}
	c.Metadata = maps.Clone(c.Metadata)
	if c.Metadata == nil {
		c.Metadata = map[string]string{}
	}
	c.Metadata[formatKey] = strconv.Itoa(format)
	if _, err := js.UpdateStream(ctx, c); err != nil {
		return fmt.Errorf("faasnats: write the format of the stream %s: %w", c.Name, err)
	}
	s.log.Info("faasnats: the stream has a new format", "stream", c.Name, "from", has, "to", format)
	return nil
}
