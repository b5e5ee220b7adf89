package observe

// ReadProfile returns an error if a CPU profile can't be read.
func ReadProfile(profile []byte) error {
	_, err := readSamples(profile)
	return err
}
