package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// identity is whom a child runs as, looked up.
type identity struct {
	// Switch is false when wsgid was not started as root: nothing changes.
	Switch   bool
	UID, GID int
	User     string // name, or the number when passwd has none
	Home     string
	Groups   []int // supplementary
}

// users looks names up for one supervisor.
type users struct {
	uid, gid int // effective ids of this process
}

func currentUsers() users { return users{uid: os.Geteuid(), gid: os.Getegid()} }

// root says whether children can get other users.
func (u users) root() bool { return u.uid == 0 }

// wanted names an identity as the configuration does.
type wanted struct {
	user, group   string
	supplementary []string // nil: those of the user
}

// resolve looks a child's identity up. Uid 0 is refused: Python never has root.
func (u users) resolve(w wanted) (identity, error) {
	if !u.root() {
		return u.unchanged(w)
	}
	id, err := lookupUser(w.user)
	if err != nil {
		return identity{}, err
	}
	if id.UID == 0 {
		return identity{}, fmt.Errorf("user %q is root: Python does not run with uid 0, name another user", w.user)
	}
	id.Switch = true
	if w.group != "" {
		primary := id.GID
		if id.GID, err = lookupGroup(w.group); err != nil {
			return identity{}, err
		}
		for i, gid := range id.Groups { // initgroups puts the given group in
			if gid == primary {
				id.Groups[i] = id.GID
			}
		}
	}
	if w.supplementary != nil {
		id.Groups = nil
		for _, name := range w.supplementary {
			gid, err := lookupGroup(name)
			if err != nil {
				return identity{}, err
			}
			id.Groups = append(id.Groups, gid)
		}
	}
	return id, nil
}

// unchanged is the identity of this process; asking for another is an error
// that says so.
func (u users) unchanged(w wanted) (identity, error) {
	id, err := lookupUser("#" + strconv.Itoa(u.uid))
	if err != nil {
		return identity{}, err
	}
	if w.user != "" {
		other, err := lookupUser(w.user)
		if err != nil {
			return identity{}, err
		}
		if other.UID != u.uid {
			return identity{}, fmt.Errorf("user %q: wsgid was not started as root, so everything runs as %q", w.user, id.User)
		}
	}
	if w.group != "" {
		gid, err := lookupGroup(w.group)
		if err != nil {
			return identity{}, err
		}
		if gid != u.gid {
			return identity{}, fmt.Errorf("group %q: wsgid was not started as root, so everything runs with gid %d", w.group, u.gid)
		}
	}
	if len(w.supplementary) > 0 {
		return identity{}, errors.New("supplementary groups: wsgid was not started as root and cannot set them")
	}
	id.GID = u.gid
	id.Groups = nil
	return id, nil
}

// lookupUser finds a name or "#uid". A uid without a passwd entry gets the gid
// of the same number and no supplementary groups.
func lookupUser(name string) (identity, error) {
	var entry *user.User
	var err error
	number, isNumber := strings.CutPrefix(name, "#")
	if isNumber {
		uid, numberErr := parseID(number)
		if numberErr != nil {
			return identity{}, fmt.Errorf("user %q: %w", name, numberErr)
		}
		entry, err = user.LookupId(strconv.Itoa(uid))
		if errors.As(err, new(user.UnknownUserIdError)) {
			return identity{UID: uid, GID: uid, User: number, Home: "/"}, nil
		}
	} else {
		entry, err = user.Lookup(name)
	}
	if err != nil {
		return identity{}, fmt.Errorf("look up user %q: %w", name, err)
	}
	id := identity{User: entry.Username, Home: entry.HomeDir}
	if id.UID, err = strconv.Atoi(entry.Uid); err != nil {
		return identity{}, fmt.Errorf("uid of user %q: %w", name, err)
	}
	if id.GID, err = strconv.Atoi(entry.Gid); err != nil {
		return identity{}, fmt.Errorf("gid of user %q: %w", name, err)
	}
	groups, err := entry.GroupIds()
	if err != nil {
		return identity{}, fmt.Errorf("groups of user %q: %w", name, err)
	}
	for _, text := range groups {
		gid, err := strconv.Atoi(text)
		if err != nil {
			return identity{}, fmt.Errorf("groups of user %q: %w", name, err)
		}
		id.Groups = append(id.Groups, gid)
	}
	return id, nil
}

// lookupGroup finds a name or "#gid".
func lookupGroup(name string) (int, error) {
	if number, ok := strings.CutPrefix(name, "#"); ok {
		gid, err := parseID(number)
		if err != nil {
			return 0, fmt.Errorf("group %q: %w", name, err)
		}
		return gid, nil
	}
	entry, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("look up group %q: %w", name, err)
	}
	return strconv.Atoi(entry.Gid)
}

// parseID reads a uid or gid. The highest number means "do not change" to the
// kernel and is refused.
func parseID(text string) (int, error) {
	id, err := strconv.ParseUint(text, 10, 32)
	if err != nil || id == 1<<32-1 {
		return 0, fmt.Errorf("%q is not a number of a user or group", text)
	}
	return int(id), nil
}

// defaultRouterUser is www-data where it exists, else nobody.
func defaultRouterUser() string {
	if _, err := user.Lookup("www-data"); err == nil {
		return "www-data"
	}
	return "nobody"
}
