package config

import (
	"os"
	"os/user"
	"strconv"
)

// Identity is who starts wsgid. Only root can give groups users of their own.
type Identity struct {
	// UID and GID are the effective ids.
	UID, GID int
	// User and Group are their names, empty if the system knows none.
	User, Group string
	// RuntimeDir is XDG_RUNTIME_DIR, where an ordinary user's control socket goes.
	RuntimeDir string
}

// CurrentIdentity is the identity of this process.
func CurrentIdentity() Identity {
	id := Identity{UID: os.Geteuid(), GID: os.Getegid(), RuntimeDir: os.Getenv("XDG_RUNTIME_DIR")}
	if u, err := user.LookupId(strconv.Itoa(id.UID)); err == nil {
		id.User = u.Username
	}
	if g, err := user.LookupGroupId(strconv.Itoa(id.GID)); err == nil {
		id.Group = g.Name
	}
	return id
}

// Root says whether wsgid can switch users.
func (id Identity) Root() bool { return id.UID == 0 }

// isUser says whether name, a user name or "#uid", is this identity.
func (id Identity) isUser(name string) bool {
	return name == "#"+strconv.Itoa(id.UID) || (id.User != "" && name == id.User)
}

// isGroup says whether name, a group name or "#gid", is this identity's group.
func (id Identity) isGroup(name string) bool {
	return name == "#"+strconv.Itoa(id.GID) || (id.Group != "" && name == id.Group)
}

// userName is how messages call this identity.
func (id Identity) userName() string {
	if id.User != "" {
		return id.User
	}
	return "#" + strconv.Itoa(id.UID)
}

// groupName is how messages call this identity's group.
func (id Identity) groupName() string {
	if id.Group != "" {
		return id.Group
	}
	return "#" + strconv.Itoa(id.GID)
}
