# frozen_string_literal: true

# Sidekiq's side of the benchmarks; REDIS_URL and BENCH_LOG say where.
require 'sidekiq'

class BenchNoop
  include Sidekiq::Worker

  def perform(_text); end
end

class BenchMark
  include Sidekiq::Worker

  def perform(milliseconds, _text)
    begun = Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond)
    sleep(milliseconds / 1000.0) if milliseconds.positive?
    File.open(ENV.fetch('BENCH_LOG'), 'ab') { |log| log.syswrite("#{jid} #{begun}\n") }
  end
end
