// hls::stream for a run with a thread a process: it holds `depth` tokens, and a read or write that
// cannot be done waits. Where all threads wait, the program ends with status 3.
#ifndef X_HLS_STREAM_SIM_H
#define X_HLS_STREAM_SIM_H

#include <condition_variable>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <functional>
#include <iostream>
#include <mutex>
#include <queue>
#include <string>
#include <thread>
#include <vector>

namespace hls {

struct state {
    std::mutex lock;
    std::condition_variable moved;
    unsigned long moves = 0; // tokens read and written so far
    size_t alive = 0;        // threads that are not at their ends
    size_t waiting = 0;      // of these, how many have waited since the last move
    bool begun = false;
    std::vector<std::thread> threads;

    void move() {
        moves++;
        waiting = 0;
        moved.notify_all();
    }

    // Waits for another move, under the lock.
    void wait(std::unique_lock<std::mutex> &held) {
        if (++waiting == alive)
            std::_Exit(3);
        const unsigned long before = moves;
        moved.wait(held, [&] { return moves != before; });
    }
};

inline state &all() {
    static state one;
    return one;
}

// A process of the frame; none runs before finish().
inline void process(std::function<void()> body) {
    all().alive++;
    all().threads.push_back(std::thread([body] {
        {
            std::unique_lock<std::mutex> held(all().lock);
            all().moved.wait(held, [] { return all().begun; });
        }
        body();
        std::unique_lock<std::mutex> held(all().lock);
        all().alive--;
        if (all().alive && all().waiting == all().alive)
            std::_Exit(3);
    }));
}

inline void finish() {
    {
        std::unique_lock<std::mutex> held(all().lock);
        all().begun = true;
        all().moved.notify_all();
    }
    for (auto &thread : all().threads)
        thread.join();
    all().threads.clear();
    all().begun = false;
}

template <typename T> class stream {
    std::deque<T> tokens;

  public:
    size_t depth = size_t(-1);

    stream() {}
    stream(const std::string) {}

    T read() {
        std::unique_lock<std::mutex> held(all().lock);
        while (tokens.empty())
            all().wait(held);
        const T token = tokens.front();
        tokens.pop_front();
        all().move();
        return token;
    }

    void write(const T &token) {
        std::unique_lock<std::mutex> held(all().lock);
        while (tokens.size() >= depth)
            all().wait(held);
        tokens.push_back(token);
        all().move();
    }

    bool empty() { return tokens.empty(); }
    size_t size() { return tokens.size(); }
};

} // namespace hls

#endif
