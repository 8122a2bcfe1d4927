/* A JVM answers null pointers and stack overflows by SIGSEGV: prints how many of each were caught. */
public class Faults {
    int field = 3;
    static int depth;
    static int sink(Faults f) { return f.field; }
    static void dig() { depth++; dig(); }
    public static void main(String[] a) throws Exception {
        Thread[] all = new Thread[8];
        int[] caught = new int[8];
        for (int t = 0; t < all.length; t++) {
            final int me = t;
            all[t] = new Thread(() -> {
                Faults one = new Faults();
                long sum = 0;
                for (int i = 0; i < 200000; i++) {
                    try { sum += sink(i % 40 == 7 ? null : one); }
                    catch (NullPointerException e) { caught[me]++; }
                }
                if (sum != 3L * 195000) caught[me] = -1;
            });
            all[t].start();
        }
        for (Thread t : all) t.join();
        int total = 0, overflows = 0;
        for (int c : caught) total += c;
        for (int i = 0; i < 20; i++)
            try { dig(); } catch (StackOverflowError e) { overflows++; }
        System.out.println(total + " null pointers, " + overflows + " overflows");
    }
}
