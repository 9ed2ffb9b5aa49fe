package convert

// authentication converts the scripts that Apache asks about users.
func (c *converter) authentication() {
}
