/* A static program cannot load libpython. The reference below exists in
 * dynamically linked programs only, so that linking statically fails with the
 * name of the function, which says why. */
extern char _DYNAMIC[] __attribute__((visibility("hidden")));

const char *wsgid_cannot_be_linked_statically_because_it_loads_libpython_with_dlopen(void);

const char *wsgid_cannot_be_linked_statically_because_it_loads_libpython_with_dlopen(void)
{
	return _DYNAMIC;
}
