/* Test program: a worker without the rest of wsgid. The constructor in boot.c
 * takes the role; who gets as far as main was not started by a test. */
int main(void)
{
	return 2;
}
